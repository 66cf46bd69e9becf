"""Every Modbus profile: our stack and minimalmodbus read the same registers of slaves of pymodbus."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import minimalmodbus
import pytest

from edge_agent import registry
from edge_agent.bus.line import SerialLine
from edge_agent.bus.modbus import Rtu
from edge_agent.bus.serial import SerialFormat
from edge_agent.driver import Answerer, Read, Registers, find_profiles, profile_text

pytestmark = pytest.mark.xdist_group("modbus-profiles")  # one process of slaves serves all

SLAVES = Path(__file__).parent / "profile_slaves.py"
BAUD = 115_200
PATIENT = 20.0  # seconds that an answer may take which comes: however busy the machine is
SIZES = {"u16": 1, "i16": 1, "u32": 2, "i32": 2, "u64": 4, "i64": 4, "f32": 2, "f64": 4}
Profile = dict[str, Any]
CASES: list[tuple[str, Profile]] = [
    (name, tomllib.loads(profile_text("modbus", name))) for name in find_profiles("modbus")
]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tty on which unit n is the n-th profile, with the registers of its first vector."""
    folder = tmp_path_factory.mktemp("slaves")
    near, far = folder / "near", folder / "far"
    images = [{table: facts["vector"][0].get(table, {}) for table in ("coil", "discrete", "holding", "input")}
              for _, facts in CASES]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, str(SLAVES), str(near), str(far), str(BAUD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(images))
        process.stdin.close()
        assert process.stdout.readline() == "up\n"
        yield near
    finally:
        process.kill()
        process.wait(timeout=60)
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize(("name", "facts"), CASES, ids=[name for name, _ in CASES])
async def test_our_stack_reads_what_minimalmodbus_reads(name: str, facts: Profile, port: Path) -> None:
    unit = [known for known, _ in CASES].index(name) + 1
    record = registry.load("modbus")
    opened = record.open(record.settings.model_validate({"profile": name, "address": unit}))
    line = SerialLine(str(port), SerialFormat(BAUD), lateness=0.6)
    try:
        samples = await cast("Answerer[Registers, Read]", opened).poll(Rtu(line, within=PATIENT))
    finally:
        await line.close()
    ours = {sample.channel: sample.value for sample in samples}
    assert ours.keys() == {channel["name"] for channel in facts["channels"]}
    peer = minimalmodbus.Instrument(str(port), unit)
    try:
        peer.serial.baudrate, peer.serial.timeout = BAUD, PATIENT
        for channel in facts["channels"]:
            assert ours[channel["name"]] == expected(peer, channel), channel["name"]
    finally:
        peer.serial.close()


def expected(peer: Any, channel: dict[str, Any]) -> Any:
    """What a channel is, read and decoded by minimalmodbus; only the scale is ours."""
    assert not channel.keys() & {"enum", "bits", "bit", "offset"}, "teach this test what the profile uses"
    if channel["table"] in {"coil", "discrete"}:
        return bool(peer.read_bit(channel["at"], 2 if channel["table"] == "discrete" else 1))
    function = 3 if channel["table"] == "holding" else 4
    if channel["type"] == "bool":
        return bool(peer.read_register(channel["at"], 0, function) & 1)
    kind, size = channel["type"], SIZES[channel["type"]]
    swapped = channel.get("words") == "little"
    order = minimalmodbus.BYTEORDER_LITTLE_SWAP if swapped else minimalmodbus.BYTEORDER_BIG
    raw: float
    if kind[0] == "f":
        raw = peer.read_float(channel["at"], function, size, order)
    elif size == 1:
        raw = peer.read_register(channel["at"], 0, function, signed=kind == "i16")
    else:
        raw = peer.read_long(channel["at"], function, kind[0] == "i", order, size)
    return pytest.approx(raw * channel.get("scale", 1), rel=1e-6, abs=1e-9)


def test_the_slaves_can_be_told_apart(port: Path) -> None:
    """Else a profile could be read from another one's registers, and nobody would notice."""
    sdm120 = [known for known, _ in CASES].index("eastron_sdm120") + 1
    peer = minimalmodbus.Instrument(str(port), sdm120)
    try:
        peer.serial.baudrate, peer.serial.timeout = BAUD, PATIENT
        assert peer.read_float(0x000C, 4) == pytest.approx(2001.75)
        peer.address = sdm120 + 1
        assert peer.read_float(0x000C, 4) != pytest.approx(2001.75)
    finally:
        peer.serial.close()
