"""OBIS codes: what they are called, in which unit, and which one wins."""

from decimal import Decimal

import pytest

from edge_agent.driver import obis


def values(own: dict[str, str] | None = None, /, **told: tuple[str | None, str]) -> dict[str, float | None]:
    read = {
        code.removeprefix("c").replace("_", "."): obis.Told(None if number is None else Decimal(number), unit)
        for code, (number, unit) in told.items()
    }
    meanings = obis.meanings(own or {})
    found = obis.values(read, meanings)
    assert found.keys() <= {meaning.name for meaning in obis.channels(meanings)}
    return found


@pytest.mark.parametrize(
    ("code", "short"),
    [
        ("1-0:1.8.0*255", "1.8.0"),
        ("1-1:1.8.0", "1.8.0"),
        ("1.8.0", "1.8.0"),
        ("1-0:1.8.0*01", "1.8.0*01"),
        ("0-1:24.2.1*255", "0-1:24.2.1"),
        ("3:14", "3:14"),
    ],
)
def test_codes_are_reduced(code: str, short: str) -> None:
    assert obis.reduced(code) == short


def test_units_are_canonical() -> None:
    told = values(c1_8_0=("1500", "Wh"), c2_8_0=("2", "MWh"), c16_7_0=("0.25", "kW"), c14_7_0=("50", "Hz"))
    assert told == {"energy_import": 1.5, "energy_export": 2000.0, "power": 250.0, "frequency": 50.0}
    assert values(c32_7_0=("10.1", "kV"), c31_7_0=("250", "mA")) == {
        "voltage_l1": 10100.0,
        "current_l1": 0.25,
    }
    assert values(c1_8_0=("1.5", ""), c13_7_0=("0.9", "")) == {"energy_import": 1.5, "power_factor": 0.9}


def test_net_power_is_added_where_the_meter_leaves_it_out() -> None:
    told = values(c1_7_0=("0", "kW"), c2_7_0=("1.5", "kW"), c21_7_0=("7", "W"))
    assert told == {"power_import": 0.0, "power_export": 1500.0, "power": -1500.0, "power_l1": 7.0}
    assert values(c1_7_0=("5", "W"), c2_7_0=("3", "W"), c16_7_0=("9", "W"))["power"] == 9.0
    assert values(c1_7_0=("5", "W"), c2_7_0=(None, "W"))["power"] is None


def test_the_more_usual_code_wins() -> None:
    assert values(c15_7_0=("5", "W"), c16_7_0=("-5", "W")) == {"power": -5.0}
    assert values({"15.7.0": "power"}, c15_7_0=("5", "W"), c16_7_0=("-5", "W")) == {"power": 5.0}


def test_what_the_meter_does_not_know_stays_unknown() -> None:
    assert values(c1_8_0=(None, "kWh")) == {"energy_import": None}


def test_the_operator_adds_and_removes() -> None:
    own = {"1-0:1.8.5*255": "energy_import_t5", "1-0:1.8.0*255": "", "0-1:24.2.1": "count_gas"}
    meanings = obis.meanings(own)
    assert "1.8.0" not in meanings
    assert meanings["1.8.5"].quantity.value == "energy_import"
    assert meanings["0-1:24.2.1"].quantity.value == "count"


def test_a_channel_is_named_after_a_quantity() -> None:
    with pytest.raises(ValueError, match="'gas' is named after no quantity"):
        obis.meanings({"0-1:24.2.1": "gas"})
    with pytest.raises(ValueError, match=r"comes in V, and energy_import is in kW\.h"):
        values(c1_8_0=("230", "V"))
