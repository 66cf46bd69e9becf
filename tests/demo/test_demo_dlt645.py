"""The simulated DL/T 645 meter answers as recorded meters did."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from drivers.dlt645 import driver
from edge_agent import registry
from edge_agent.bus.line import SerialLine
from edge_agent.bus.serial import SerialFormat
from edge_agent.demo import park, world
from edge_agent.demo.dlt645 import Meter, sealed
from edge_agent.driver import Answerer, Line
from edge_agent.profile import profile_text

PREAMBLE = b"\xfe\xfe"
RECORDED = [
    vector
    for vector in tomllib.loads(registry.resource(driver, "vectors.toml"))["vector"]
    if vector.get("expect") and "2007" in vector["settings"]["profile"] and "AA" not in vector["request"]
]


def meter(address: str, values: dict[str, float], profile: str = "dlt645_2007_three") -> Meter:
    return Meter(address, profile_text("dlt645", profile), lambda: values)


@pytest.mark.parametrize("vector", RECORDED, ids=lambda vector: str(vector["name"]))
def test_it_answers_as_the_recorded_meter_did(vector: dict[str, Any]) -> None:
    made = meter(vector["settings"]["address"], vector["expect"])
    request, response = bytes.fromhex(vector["request"]), bytes.fromhex(vector["response"])
    for garbage in (
        b"",
        b"\x01\x04\x00\x00\x00\x02\x71\xcb",
        b"\x68",
        b"\x68" * 20,
        request[:-1],
        b"\xfe" * 4,
    ):
        said = b"".join(made.hear(bytes([byte])) for byte in garbage + request)
        assert said == PREAMBLE + response.lstrip(b"\xfe")


def test_it_tells_its_address_and_answers_to_a_part_of_it() -> None:
    made = meter("123456781012", {"voltage_a": 100.1})
    own = bytes.fromhex("123456781012")[::-1]
    said = PREAMBLE + sealed(own, 0x93, own)
    assert made.hear(sealed(b"\xaa" * 6, 0x13, b"")) == said
    item = bytes.fromhex("02010100")[::-1]
    said = PREAMBLE + sealed(own, 0x91, item + b"\x01\x10")
    assert made.hear(sealed(own[:2] + b"\xaa" * 4, 0x11, item)) == said
    assert made.hear(sealed(b"\x13" + b"\xaa" * 5, 0x11, item)) == b""
    assert made.hear(sealed(own[:5] + b"\x00", 0x11, item)) == b""


@pytest.mark.parametrize("control", [0x11, 0x14, 0x1C])
def test_it_refuses_what_it_does_not_have(control: int) -> None:
    made = meter("000000000007", {})
    own = b"\x07" + bytes(5)
    said = PREAMBLE + sealed(own, control | 0xC0, b"\x02")
    assert made.hear(sealed(own, control, bytes.fromhex("02010100")[::-1])) == said


def test_a_bad_checksum_is_not_answered() -> None:
    request = bytearray(sealed(b"\x07" + bytes(5), 0x11, bytes(4)))
    request[-2] ^= 1
    assert meter("000000000007", {"energy_total": 1.0}).hear(bytes(request)) == b""


async def test_it_shares_the_cabinet_with_modbus(tmp_path: Path) -> None:
    settings = driver.settings(profile="dlt645_2007_single", address=park.FLAT_METER)
    opened: Answerer[Line, bytes] = driver.open(settings)  # type: ignore[assignment]  # it is over a line
    async with park.running(tmp_path):
        line = SerialLine(str(park.cabinet_tty(tmp_path)), SerialFormat(park.CABINET_BAUD))
        values = dict(await opened.poll(line))
        await line.close()
    assert values.keys() == world.flat(0.0).keys()
    assert None not in values.values()
    assert 215 < float(values["voltage_a"] or 0) < 240
