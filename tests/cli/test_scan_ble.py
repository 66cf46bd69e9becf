"""``edge-agent scan ble`` as a user starts it, with real bleak, on a fake BlueZ."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.demo import on_air
from edge_agent.demo.bluez.air import Peripheral
from edge_agent.demo.bluez.daemon import FakeBlueZ
from edge_agent.driver import Advertisement
from edge_agent.onsite.senders import Senders
from edge_agent.settings.load import load
from tests.cli.verb import finished, started, verb

KEY = "00112233445566778899aabbccddeeff"


@asynccontextmanager
async def broadcasting(bluez: FakeBlueZ) -> AsyncIterator[dict[str, str]]:
    """The demo's sensors, quicker, and a phone; gives their addresses by id."""
    sensors = on_air.sensors(bytes.fromhex(KEY))
    devices = {sensor: bluez.world.add_peripheral(Peripheral(sensor.address)) for sensor in sensors}
    bare = bluez.world.add_peripheral(Peripheral("5B:00:00:00:00:02", "a name alone"))
    phone = bluez.world.add_peripheral(Peripheral("5B:00:00:00:00:01", "phone\x1b[2J"))

    async def talk() -> None:
        number = 0
        while True:
            number += 1
            for sensor, device in devices.items():
                services, makers = sensor.says(number, number * 10.0)
                bluez.world.advertise(device, services=services, makers=makers)
            bluez.world.advertise(bare)
            bluez.world.advertise(phone, makers={0x004C: number.to_bytes(4, "big")})
            await asyncio.sleep(0.1)

    task = asyncio.create_task(talk())
    try:
        yield {sensor.id: sensor.address for sensor in sensors}
    finally:
        task.cancel()


async def test_what_is_found(bluez: FakeBlueZ) -> None:
    async with broadcasting(bluez) as addresses:
        said = await verb("scan", "ble", "--for", "4s", "--json", "--all")
        shown = await verb("scan", "ble", "--for", "3s")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    by_address = {one["address"]: one for one in told["found"]}
    assert by_address.keys() == set(addresses.values())
    best = {id_: by_address[address]["fits"][0] for id_, address in addresses.items()}
    assert {id_: fit["driver"] for id_, fit in best.items()} == {
        "air-1": "bthome", "motion-1": "bthome", "stairs-1": "atc", "roof-1": "ruuvi", "store-1": "bthome",
    }  # fmt: skip
    assert best["store-1"]["encrypted"]
    assert best["roof-1"]["values"]["temperature"][1] == "Cel"
    assert (told["others"], told["others_by_kind"]) == (2, {"0x004C": 1, "": 1})
    assert sorted(one["says"] for one in told["unknown"]) == [[], ["0x004C"]]
    assert by_address[addresses["air-1"]]["signal"] == -60
    assert shown.code == 0
    assert "5B:00:00:00:00:01" not in shown.out
    assert "2 others broadcast what no driver knows" in shown.out
    assert "   1 of company 0x004C, Apple" in shown.out
    assert "   1 with neither a company nor a service in what they say" in shown.out
    assert "it is encrypted; set `bindkey`" in shown.out


async def test_its_configuration_passes_check(
    bluez: FakeBlueZ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with broadcasting(bluez) as addresses:
        said = await verb("scan", "ble", "--for", "4s", "--toml")
    assert said.code == 0, said.err
    file = tmp_path / "agent.toml"
    file.write_text(said.out, "utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    without = await verb("check", "--config", str(file))
    assert "bthome-80a6-key" in without.out + without.err
    assert without.code != 0
    (tmp_path / "bthome-80a6-key").write_text(KEY)
    checked = await verb("check", "--config", str(file))
    assert checked.code == 0, checked.out + checked.err
    loaded = load(file)
    assert {device.settings["address"] for device in loaded.device.values()} == set(addresses.values())
    assert loaded.device["bthome-a102"].settings["reports"] == ["battery", "motion"]
    assert loaded.bus["radio"].ble == "hci0"


async def test_ctrl_c_shows_what_was_found_so_far(bluez: FakeBlueZ) -> None:
    async with broadcasting(bluez) as addresses, started("scan", "ble", "--json", "--for", "50s") as process:
        async with asyncio.timeout(60):
            while "StartDiscovery" not in bluez.calls:  # noqa: ASYNC110 - another program's doing
                await asyncio.sleep(0.05)
        await asyncio.sleep(5)  # in which each speaks fifty times, which nobody tells of
        process.send_signal(signal.SIGINT)
        said = await finished(process)
    assert said.code == 130
    told = json.loads(said.out)
    assert not told["complete"]
    assert len(told["found"]) == len(addresses)


@pytest.mark.usefixtures("private_bus")
async def test_what_is_missing_says_the_remedy() -> None:
    said = await verb("scan", "ble", "--for", "1s")
    assert said.code == 2
    assert "bluetoothd does not run; sudo systemctl start bluetooth" in said.err
    fake = FakeBlueZ()
    fake.world.add_adapter("hci1")
    await fake.start()
    said = await verb("scan", "ble", "--for", "2s")
    assert said.code == 2
    assert "there is no such adapter; plug it in, or see bluetoothctl list" in said.err
    said = await verb("scan", "ble", "--for", "2s", "--adapter", "hci1")
    assert said.code == 1, "nobody is there"
    await fake.stop()


def test_a_street_full_of_phones_takes_little_memory() -> None:
    senders = Senders()
    for number in range(20_000):
        address = f"5B:00:{number >> 16 & 255:02X}:{number >> 8 & 255:02X}:{number & 255:02X}:00"
        senders.hear(Advertisement(address, "", -80, {}, {0x004C: b"\x10\x05"}))
    assert (len(senders.known), len(senders.others)) == (0, 2000)
    assert senders.forgotten == 18_000
