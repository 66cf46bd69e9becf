"""The rules of profiles that no shipped profile shows: types, words, bits, ratios, planning, mistakes."""

import math
import struct
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.modbus import ModbusDevice, ModbusSettings
from drivers.modbus.plan import plan
from drivers.modbus.profile import Profile, Register, load
from edge_agent.driver import Garbled, Read, Refused


def register(**facts: Any) -> Register:
    usual = {"name": "count", "quantity": "count", "table": "holding", "at": 0, "type": "u16"}
    return Register.model_validate(usual | facts)


def profile(*channels: dict[str, Any], **facts: Any) -> Profile:
    usual = {"quantity": "count", "table": "holding", "type": "u16"}
    listed = [{"name": f"count_{at}"} | usual | channel for at, channel in enumerate(channels)]
    return Profile.model_validate({"title": "made up", "source": "made up", "channels": listed} | facts)


def settings(**facts: Any) -> ModbusSettings:
    return ModbusSettings.model_validate({"profile": "made_up", "address": 1} | facts)


@pytest.mark.parametrize(
    ("facts", "words", "value"),
    [
        ({"type": "u16"}, "FF FE", 65534),
        ({"type": "i16"}, "FF FE", -2),
        ({"type": "u32"}, "00 01 00 02", 65538),
        ({"type": "i32"}, "FF FF FF FE", -2),
        ({"type": "u32", "words": "little"}, "00 02 00 01", 65538),
        ({"type": "u64"}, "FF FF FF FF FF FF FF FF", 2**64 - 1),
        ({"type": "i64"}, "FF FF FF FF FF FF FF FF", -1),
        ({"type": "u64", "words": "little"}, "00 04 00 03 00 02 00 01", 0x0001_0002_0003_0004),
        ({"type": "f32"}, "43 66 33 33", 230.2),
        ({"type": "f32", "words": "little"}, "33 33 43 66", 230.2),
        ({"type": "f32", "scale": 0.1}, "45 0F E7 33", 230.245),
        ({"type": "f64"}, "40 6C C6 66 66 66 66 66", 230.2),
        ({"type": "f32"}, "7F C0 00 00", None),
        ({"type": "f32"}, "FF 80 00 00", None),
        ({"type": "f64", "scale": 1e300}, "7F E0 00 00 00 00 00 00", None),
        ({"scale": 0.1}, "01 31", 30.5),
        ({"scale": 0.001}, "00 6C", 0.108),
        ({"scale": 0.1, "offset": -40}, "01 F7", 10.3),
        ({"type": "i16", "invalid": [0x8000]}, "80 00", None),
        ({"type": "i16", "invalid": [0x8000]}, "7F FF", 32767),
        ({"type": "u32", "words": "little", "invalid": [0x7FFF0000]}, "00 00 7F FF", None),
        ({"type": "bool"}, "00 01", True),
        ({"type": "bool"}, "00 02", False),
        ({"type": "bool", "bit": 15}, "80 00", True),
        ({"type": "bool", "invalid": [0xFFFF]}, "FF FF", None),
        ({"bit": 4, "bits": 3}, "00 5F", 5),
        ({"type": "u32", "bit": 15, "bits": 2}, "00 01 80 00", 3),
        ({"bit": 12, "bits": 4, "scale": 0.5}, "F0 00", 7.5),
        ({"enum": {"0": False, "1": True, "170": True}}, "00 AA", True),
        ({"enum": {"0": False, "1": True}}, "00 02", None),
        ({"type": "i16", "enum": {"-1": "fault", "0": "well"}}, "FF FF", "fault"),
        ({"bit": 8, "bits": 8, "enum": {"3": 3}}, "03 FF", 3),
    ],
)
def test_value(facts: dict[str, Any], words: str, value: object) -> None:
    found = register(**facts).value(bytes.fromhex(words), 0, Decimal(1))
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


def test_bits_are_packed_lowest_first() -> None:
    device = ModbusDevice(
        settings(),
        profile(
            {"table": "coil", "at": 100, "type": "bool"},
            {"table": "coil", "at": 102, "type": "bool"},
            {"table": "coil", "at": 109, "type": "bool"},
        ),
    )
    samples = device.decode(bytes.fromhex("04 02"), Read(1, "coil", 100, 10))
    assert dict(samples) == {"count_0": False, "count_1": True, "count_2": True}


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_f32_means_the_same_32_bits(number: float) -> None:
    packed = struct.pack(">f", number)
    found = register(type="f32").value(packed, 0, Decimal(1))
    assert isinstance(found, float)
    assert struct.pack(">f", found) == packed or number == 0


@given(st.integers(0, 0xFFFF), st.sampled_from([0.1, 0.01, 0.001]))
def test_scaled_value_has_no_dust(number: int, scale: float) -> None:
    found = register(scale=scale).value(number.to_bytes(2), 0, Decimal(1))
    assert found == number / round(1 / scale)


@dataclass(frozen=True)
class Lacking:
    """Registers of a device that refuses some tables; all others hold 1."""

    tables: tuple[str, ...]
    lasting: bool = True

    async def read(self, question: Read) -> bytes:
        if question.table in self.tables:
            raise Refused(f"no {question.table}", lasting=self.lasting)
        return b"\0\1" * question.count


async def test_a_variant_that_lacks_a_block_still_gives_the_others() -> None:
    device = ModbusDevice(settings(), profile({"at": 1, "table": "input"}, {"at": 2}, {"at": 9}))
    assert dict(await device.poll(Lacking(()))) == {"count_0": 1, "count_1": 1, "count_2": 1}
    assert dict(await device.poll(Lacking(("input",)))) == {"count_0": None, "count_1": 1, "count_2": 1}
    with pytest.raises(Refused, match="no holding"):
        await device.poll(Lacking(("input", "holding")))
    with pytest.raises(Refused, match="no input"):  # busy: what it lacks now it has later
        await device.poll(Lacking(("input",), lasting=False))


def test_only_channels_wholly_inside_the_answer_are_told() -> None:
    device = ModbusDevice(
        settings(), profile({"at": 1}, {"at": 2, "type": "u32"}, {"at": 1, "table": "input"})
    )
    assert dict(device.decode(bytes(4), Read(1, "holding", 1, 2))) == {"count_0": 0}
    assert dict(device.decode(bytes(6), Read(1, "holding", 1, 3))) == {"count_0": 0, "count_1": 0}
    assert dict(device.decode(bytes(4), Read(1, "holding", 2, 2))) == {"count_1": 0}
    with pytest.raises(Garbled, match="3 bytes of data, expected 4"):
        device.decode(bytes(3), Read(1, "holding", 1, 2))


def test_ratios_multiply_marked_channels() -> None:
    meter = profile(
        {"at": 0, "ratio": "pt", "scale": 0.1},
        {"at": 1, "ratio": "ct", "scale": 0.001},
        {"at": 2, "ratio": "ct*pt"},
        {"at": 3},
    )
    device = ModbusDevice(settings(ct_ratio=40, pt_ratio=1.5), meter)
    samples = device.decode(bytes.fromhex("08 FC 00 6C 00 02 00 05"), Read(1, "holding", 0, 4))
    assert dict(samples) == {"count_0": 345.0, "count_1": 4.32, "count_2": 120.0, "count_3": 5}


def test_the_ratios_of_a_meter_behind_transformers() -> None:
    """Acrel's values are secondary: CT 200/5 multiplies current, PT 10/0.1 kV voltage, and both the rest."""
    meter = ModbusDevice(settings(ct_ratio=40, pt_ratio=100), load("acrel_dtsd1352"))
    instant = meter.decode(bytes.fromhex("03 E8 03 E9 03 EA 00 64 00 65 00 66"), Read(1, "holding", 0x61, 6))
    assert dict(instant) == {
        "voltage_l1": 10_000.0, "voltage_l2": 10_010.0, "voltage_l3": 10_020.0,
        "current_l1": 40.0, "current_l2": 40.4, "current_l3": 40.8,
    }  # fmt: skip
    assert dict(meter.decode(bytes.fromhex("FF FF FF 9C"), Read(1, "holding", 0x16A, 2))) == {
        "power": -400_000
    }
    energy = meter.decode(bytes.fromhex("00 00 30 39"), Read(1, "holding", 0x0A, 2))
    assert dict(energy) == {"energy_import": 493_800.0}
    assert dict(meter.decode(bytes.fromhex("13 88"), Read(1, "holding", 0x77, 1))) == {"frequency": 50.0}


def test_a_ratio_that_multiplies_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="made_up has no channel that ct_ratio multiplies; leave it out"):
        ModbusDevice(settings(ct_ratio=40), profile({"at": 0, "ratio": "pt"}))


def test_general_address_is_for_devices_that_have_one() -> None:
    ModbusDevice(settings(address=248), profile({"at": 0}, general_address=True))
    with pytest.raises(ValueError, match="made_up has no general address; give its own, 1 to 247"):
        ModbusDevice(settings(address=248), profile({"at": 0}))


def blocks(*channels: dict[str, Any], **facts: Any) -> list[tuple[str, int, int]]:
    return [(ask.table, ask.start, ask.count) for ask in plan(profile(*channels, **facts), 1)]


def test_a_slow_line_favours_several_requests() -> None:
    apart = {"at": 0}, {"at": 21}
    assert blocks(*apart, serial="2400 8N1") == [("holding", 0, 1), ("holding", 21, 1)]
    assert blocks(*apart, serial="9600 8N1") == [("holding", 0, 22)]
    assert blocks(*apart) == [("holding", 0, 22)]


def test_tables_are_read_apart_in_order_of_address() -> None:
    found = blocks({"at": 6}, {"at": 3, "table": "input"}, {"at": 4, "type": "u32"}, {"at": 2})
    assert found == [("holding", 2, 5), ("input", 3, 1)]


def test_no_request_is_longer_than_the_device_takes() -> None:
    row = [{"at": at, "type": "f32"} for at in range(0, 200, 2)]
    assert blocks(*row, max_registers=80) == [("holding", 0, 80), ("holding", 80, 80), ("holding", 160, 40)]
    assert blocks(*row, max_registers=81)[0] == ("holding", 0, 80)
    assert blocks(*row)[0] == ("holding", 0, 124)


def test_a_hole_is_not_read_where_the_device_refuses_it() -> None:
    apart = {"at": 0}, {"at": 1}, {"at": 3}
    assert blocks(*apart) == [("holding", 0, 4)]
    assert blocks(*apart, holes=False) == [("holding", 0, 2), ("holding", 3, 1)]


def test_blocks_are_read_as_they_stand() -> None:
    given = [{"table": "holding", "at": 0, "count": 20}, {"table": "input", "at": 9, "count": 3}]
    asked = blocks({"at": 5}, {"at": 9, "table": "input", "type": "u32"}, blocks=given)
    assert asked == [("holding", 0, 20), ("input", 9, 3)]
    with pytest.raises(ValidationError, match="no block covers channel count_0; add one"):
        profile({"at": 19, "type": "u32"}, blocks=given)
    with pytest.raises(ValidationError, match="a block has more than 10 registers; split it"):
        profile({"at": 5}, blocks=given, max_registers=10)


def test_a_vector_says_where_it_is_from() -> None:
    vector: dict[str, Any] = {"name": "a room", "expect": {}}
    recorded: dict[str, Any] = {"source": "manual, p. 3"}
    computed: dict[str, Any] = {"synthetic": True}
    for told in (recorded, computed):
        assert profile({"at": 0}, vector=[vector | told]).vector[0].name == "a room"
    for told in ({}, recorded | computed):
        with pytest.raises(ValidationError, match="no source; name it, or write synthetic = true"):
            profile({"at": 0}, vector=[vector | told])


def test_bits_cost_an_eighth() -> None:
    coil = {"table": "coil", "type": "bool"}
    assert blocks(coil | {"at": 0}, coil | {"at": 300}) == [("coil", 0, 301)]
    assert blocks(coil | {"at": 0}, coil | {"at": 3000}) == [("coil", 0, 1), ("coil", 3000, 1)]


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        ({"at": 65535, "type": "u32"}, "reaches beyond register 65535"),
        ({"at": 0, "table": "coil"}, "holds bits"),
        ({"at": 0, "scale": 0}, "has scale 0"),
        ({"at": 0, "scale": math.inf}, "finite"),
        ({"at": 0, "name": "Count"}, "'Count' is no channel name; write small letters"),
        ({"at": 0, "invalid": [0x10000]}, "invalid code of more than 16 bits"),
        ({"at": 0, "bit": 3}, "has a bit; that is for a bool in a table of words"),
        ({"at": 0, "bit": 3, "type": "bool", "table": "coil"}, "has a bit"),
        ({"at": 0, "quantity": "loudness"}, "quantity"),
        ({"at": 0, "formula": "x * 2"}, "formula"),
        ({"at": 0, "bit": 16, "type": "bool"}, "count_0 has no bit 16"),
        ({"at": 0, "bit": 12, "bits": 5}, "count_0 has no bit 16"),
        ({"at": 0, "bits": 4, "type": "i16"}, "field of bits"),
        ({"at": 0, "type": "f32", "enum": {"0": 1}}, "enum, which is for whole numbers"),
    ],
)
def test_a_wrong_profile_is_refused(channel: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        profile(channel)


def test_a_channel_is_there_once() -> None:
    with pytest.raises(ValidationError, match="channel count_0 is there twice"):
        profile({"at": 0}, {"at": 1, "name": "count_0"})


def test_a_profile_names_its_source() -> None:
    with pytest.raises(ValidationError, match="source"):
        profile({"at": 0}, source="")
