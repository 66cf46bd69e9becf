"""The rules of DL/T 645 profiles that no shipped profile shows: formats, blocks, ratios, mistakes."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.dlt645 import Meter, MeterSettings
from drivers.dlt645.profile import Item, Profile, place
from edge_agent.driver import Implausible
from tests.drivers.dlt645_meter import ADDRESS, Table


def channel(**facts: Any) -> dict[str, Any]:
    return {"name": "power", "quantity": "power", "item": "02030000", "digits": "XX.XXXX"} | facts


def profile(*channels: dict[str, Any], **facts: Any) -> Profile:
    usual = {"title": "made up", "source": "made up", "edition": 2007}
    return Profile.model_validate(usual | {"channels": channels or [channel()]} | facts)


@pytest.mark.parametrize(
    ("facts", "raw", "value"),
    [
        ({}, "31 43 00", 0.4331),
        ({"scale": 1000}, "31 43 00", 433.1),
        ({"scale": 1000}, "99 99 99", 999999.0 / 10),
        ({"signed": True}, "31 43 80", -0.4331),
        ({"signed": True}, "00 00 80", 0.0),
        ({}, "31 43 80", 80.4331),
        ({}, "FF FF FF", None),
        ({"signed": True}, "FF FF FF", None),
        ({"digits": "XXXX"}, "30 02", 230.0),
        ({"digits": "XXXXXX.XX"}, "99 99 99 99", 999999.99),
        ({"digits": "X.XXX", "signed": True}, "50 89", -0.95),
    ],
)
def test_value(facts: dict[str, Any], raw: str, value: float | None) -> None:
    found = Item.model_validate(channel(**facts)).value(bytes.fromhex(raw), Decimal(1))
    assert (found, str(found)) == (value, str(value))


@pytest.mark.parametrize("raw", ["FF FF 23", "0A 00 00", "00 00 A0"])
def test_what_is_no_number_is_implausible(raw: str) -> None:
    with pytest.raises(Implausible, match=r"02030000 is .* which are no digits"):
        Item.model_validate(channel()).value(bytes.fromhex(raw), Decimal(1))


@pytest.mark.parametrize(
    ("block", "first", "item", "at"),
    [
        ("0201FF00", "02010100", "02010100", 0),
        ("0201FF00", "02010100", "02010300", 2),
        ("0203FF00", "02030000", "02030300", 3),
        ("0001FF00", "00010000", "00011000", 16),
        ("0201FF00", "02010100", "02010000", None),
        ("0201FF00", "02010100", "02020100", None),
        ("0201FF00", "02010100", "02010101", None),
        ("0201FF00", "02010100", "0201FF00", None),
        ("B61F", "B611", "B613", 2),
        ("B63F", "B630", "B633", 3),
        ("901F", "9010", "9020", None),
    ],
)
def test_the_place_of_an_item_in_a_block(block: str, first: str, item: str, at: int | None) -> None:
    assert place(block, first, item) == at


async def test_ratios_multiply_marked_channels() -> None:
    meter = profile(
        channel(scale=1000, ratio="ct*pt"),
        channel(name="voltage_a", quantity="voltage", item="02010100", digits="XXX.X", ratio="pt"),
        channel(name="current_a", quantity="current", item="02020100", digits="XXX.XXX", ratio="ct"),
        channel(name="frequency", quantity="frequency", item="02800002", digits="XX.XX"),
    )
    settings = MeterSettings(profile="made_up", address=ADDRESS, ct_ratio=40, pt_ratio=1.5)
    line = Table({"02030000": "31 43 00", "02010100": "00 23", "02020100": "99 49 00", "02800002": "01 50"})
    told = {"power": 25986.0, "voltage_a": 345.0, "current_a": 199.96, "frequency": 50.01}
    assert dict(await Meter(settings, meter).poll(line)) == told


def test_a_ratio_that_multiplies_nothing_is_refused() -> None:
    settings = MeterSettings(profile="made_up", address=ADDRESS, pt_ratio=40)
    with pytest.raises(ValueError, match="made_up has no channel that pt_ratio multiplies; leave it out"):
        Meter(settings, profile(channel(ratio="ct")))


async def test_a_block_for_one_channel_is_not_asked() -> None:
    line = Table({"02030000": "31 43 00"})
    meter = Meter(MeterSettings(profile="made_up", address=ADDRESS), profile(blocks={"0203FF00": "02030000"}))
    assert dict(await meter.poll(line)) == {"power": 0.4331}
    assert [question.item for question in line.asked] == ["02030000"]


TWO = channel(), channel(name="power_a", item="02030100", digits="X.XXX")


@pytest.mark.parametrize(
    ("channels", "facts", "message"),
    [
        ([channel(), channel(item="02030100")], {}, "name power is there twice; give each"),
        ([channel(), channel(name="power_a")], {}, "item 02030000 is there twice; give each"),
        ([channel(digits="XX.XXX")], {}, "odd number of digits"),
        ([channel(item="0203")], {}, "0203 is no identifier of 2007; those have 8 digits"),
        ([channel()], {"edition": 1997}, "02030000 is no identifier of 1997; those have 4 digits"),
        ([channel()], {"blocks": {"0203FF00": "02010000"}}, "02010000 is not in block 0203FF00"),
        ([*TWO], {"blocks": {"0203FF00": "02030000"}}, "the items of block 0203FF00 differ in size"),
        ([channel()], {"source": ""}, "source"),
        ([channel()], {"vector": [{"name": "x", "says": [], "expect": {}}]}, "has no source; name it"),
    ],
)
def test_a_mistake_is_refused(channels: list[dict[str, Any]], facts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        profile(*channels, **facts)
