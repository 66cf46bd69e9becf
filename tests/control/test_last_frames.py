"""What passed between a bus and a device, and what a device is, as the running agent tells it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent.layout import lay_out
from edge_agent.bus.recent_frames import RecentFrames
from edge_agent.control.client import ask
from edge_agent.control.last_frames import _decoded
from edge_agent.control.protocol import RefusedError
from edge_agent.driver import Advertisement
from edge_agent.settings.load import load
from tests.cli.running import config, running, sensor

UNHEARD = """
[device.gone]
driver = "modbus"
bus = "cabinet"
interval = "1s"
settings = { profile = "xy_md02", address = 9 }
"""
KEY = "231d39c1d7cc1ab1aee224cd096db932"
HALL = f"""\
config = 1
gateway = {{ site = "east-park", id = "gw-01" }}
[bus.air]
ble = "hci0"
[device.hall]
driver = "bthome"
bus = "air"
settings = {{ address = "54:48:E6:8F:80:A5", bindkey = "{KEY}" }}
"""


@pytest.fixture(name="place")
async def agent(tmp_path: Path) -> AsyncIterator[Path]:
    async with sensor(tmp_path) as tty, running(config(tmp_path, tty, UNHEARD)) as place:
        yield place


async def told(place: Path, device: str, enough: Callable[[list[dict[str, Any]]], object]) -> Any:
    async with asyncio.timeout(60):
        while True:
            with suppress(RefusedError):  # it starts
                frames = (await ask("frames", {"device": device}, at=place))["frames"]
                if enough(frames):
                    return frames
            await asyncio.sleep(0.1)


async def test_frames_and_who_is_who(place: Path) -> None:
    (air, *_) = await told(place, "air", lambda frames: frames and frames[0]["values"])
    assert air["sent"] == "07 04 00 01 00 02 20 6D"
    assert air["heard"].startswith("07 04 04 01 31 01 E6 ")
    assert air["values"] == {"temperature": [30.5, "Cel"], "humidity": [48.6, "%"]}
    assert (air["fault"], air["note"], air["age_s"] >= 0) == ("", "", True)
    (gone, *_) = await told(place, "gone", lambda frames: frames)
    assert gone["sent"].startswith("09 04 00 01 ")
    assert (gone["heard"], gone["values"]) == ("", {})
    assert gone["fault"].startswith("NoAnswer: ")
    with pytest.raises(RefusedError, match="there is no device nobody"):
        await ask("frames", {"device": "nobody"}, at=place)
    known = await ask("identify", {"device": "air"}, at=place)
    assert (known["asked"], known["serial"], known["place"]) == (True, "9600 8N1", "hall-b")
    assert known["settings"] == {"profile": "xy_md02", "address": 7}
    assert (await ask("identify", at=place))["devices"] == 2


def test_a_broadcast_is_decoded_and_its_key_is_not_told(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(HALL, "utf-8")
    part = lay_out(load(file)).parts["hall"]
    recent_frames = RecentFrames()
    uuid = "0000fcd2-0000-1000-8000-00805f9b34fb"
    sealed = bytes.fromhex("41e445f3c9962b332211006c7c4519")
    recent_frames.add(b"", Advertisement("54:48:E6:8F:80:A5", "", -69, {uuid: sealed}, {}))
    (one,) = list(_decoded(part, "", recent_frames.all(), 1_000_000))
    assert one["heard"] == f"fcd2: {sealed.hex(' ').upper()}; -69 dBm"
    assert one["values"] == {"temperature": [25.06, "Cel"], "humidity": [50.55, "%"]}
    assert KEY not in str(one).replace(" ", "").lower()
