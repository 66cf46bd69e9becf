"""What the OBIS codes of electricity meters are called here, whichever protocol brings them.

OBIS, IEC 62056-61 (and EN 13757-1): A-B:C.D.E*F, with A the medium (1: electricity), B the channel, C the
quantity, D its kind (7: momentary, 8: counted), E the tariff (0: all), F the stored period (255: now).
SML, D0 and DSMR meters all tell their values by such codes.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from edge_agent.quantity import Quantity, quantity_of

_TARIFFS = 4
_PHASES = (1, 2, 3)
_COUNTERS = {
    1: ("energy_import", "Energy imported"),
    2: ("energy_export", "Energy exported"),
    15: ("energy_total", "Energy in total"),
    3: ("reactive_energy_import", "Reactive energy in"),
    4: ("reactive_energy_export", "Reactive energy out"),
}
_MOMENTARY = {  # C of the sum over all phases; 20, 40 and 60 more is the same of L1, L2 and L3
    16: ("power", "Active power, export is negative"),
    1: ("power_import", "Active power in"),
    2: ("power_export", "Active power out"),
    3: ("reactive_power_import", "Reactive power in"),
    4: ("reactive_power_export", "Reactive power out"),
    9: ("apparent_power", "Apparent power"),
    11: ("current", "Current"),
    12: ("voltage", "Voltage"),
    13: ("power_factor", "Power factor"),
}
_NET_LABEL = "In minus out"
_HERE = ("1-0:", "1-1:")  # electricity, the meter itself; industrial meters count in channel 1

_W, _VAR, _KWH, _KVARH = "W", "var", "kW.h", "kvar.h"
_UNITS = {  # as meters write them, by lower case: the canonical unit, and by what to multiply
    "wh": (_KWH, "0.001"), "kwh": (_KWH, "1"), "mwh": (_KWH, "1000"),
    "varh": (_KVARH, "0.001"), "kvarh": (_KVARH, "1"),
    "w": (_W, "1"), "kw": (_W, "1000"),
    "var": (_VAR, "1"), "kvar": (_VAR, "1000"),
    "va": ("V.A", "1"), "kva": ("V.A", "1000"),
    "v": ("V", "1"), "kv": ("V", "1000"), "a": ("A", "1"), "ma": ("A", "0.001"), "hz": ("Hz", "1"),
}  # fmt: skip


class Told(NamedTuple):
    """A value as a meter told it, with the unit as it wrote it ("" for none); None where it does not know."""

    value: Decimal | None
    unit: str


class Meaning(NamedTuple):
    """What a code stands for: the channel's name, its quantity and its label."""

    name: str
    quantity: Quantity
    label: str


def reduced(code: str) -> str:
    """Return a code as meters shorten it, ``1-0:1.8.0*255`` as ``1.8.0``. Another medium's stays whole."""
    code = code.removesuffix("*255")
    return code[4:] if code.startswith(_HERE) else code


def _counters() -> Iterator[tuple[str, str, str]]:
    for c, (name, label) in _COUNTERS.items():
        yield f"{c}.8.0", name, label
        for tariff in range(1, _TARIFFS + 1):
            yield f"{c}.8.{tariff}", f"{name}_t{tariff}", f"{label}, tariff {tariff}"


def _momentary() -> Iterator[tuple[str, str, str]]:
    for c, (name, label) in _MOMENTARY.items():
        yield f"{c}.7.0", name, label
        for phase in _PHASES:
            yield f"{c + 20 * phase}.7.0", f"{name}_l{phase}", f"{label}, L{phase}"
    yield "91.7.0", "current_n", "Current, neutral"
    yield "14.7.0", "frequency", "Frequency"
    for older in ("15.7.0", "1.7.1"):  # where 16.7.0 is not sent; EMH eHZ, ED300L
        yield older, *_MOMENTARY[16]


def meanings(own: Mapping[str, str]) -> dict[str, Meaning]:
    """Return what each code means, with an operator's ``own`` channels by code; "" takes a code out.

    Where a meter tells several codes of one channel, those of the operator win, then the more usual one.

    Raises:
        ValueError: a channel is named after no quantity.
    """
    chosen = {reduced(code): name for code, name in own.items()}
    usual = {code: (name, label) for code, name, label in (*_counters(), *_momentary())}
    labels = dict(usual.values())
    told = {code: (name, labels.get(name, f"OBIS {code}")) for code, name in chosen.items() if name}
    told |= {code: meant for code, meant in usual.items() if code not in chosen}
    return {code: Meaning(name, quantity_of(name), label) for code, (name, label) in told.items()}


def channels(meanings: Mapping[str, Meaning]) -> list[Meaning]:
    """Return each channel once that ``values`` can give."""
    by_name: dict[str, Meaning] = {}
    for meaning in meanings.values():
        by_name.setdefault(meaning.name, meaning)
    for net, into, _ in _nets():
        if into in by_name:
            by_name.setdefault(net, by_name[into]._replace(name=net, label=_NET_LABEL))
    return list(by_name.values())


def values(told: Mapping[str, Told], meanings: Mapping[str, Meaning]) -> dict[str, float | None]:
    """Return the values by channel, in canonical units. Codes that mean nothing are left out.

    A value without a unit is taken to be in the canonical one. Where a meter tells power in and out instead
    of the difference, that is added; where it tells only power in, that is ``power``, which some sign.

    Raises:
        ValueError: a value comes in a unit that is none of its quantity's.
    """
    found: dict[str, Decimal | None] = {}
    for code, meaning in meanings.items():
        if code in told and meaning.name not in found:
            found[meaning.name] = _converted(code, told[code], meaning)
    for net, into, out in _nets():
        if net in found or into not in found:
            continue
        if out in found:
            found[net] = _difference(found[into], found[out])
        else:
            found[net] = found.pop(into)
    return {name: None if value is None else float(value) for name, value in found.items()}


def _nets() -> Iterator[tuple[str, str, str]]:
    for name in ("power", "reactive_power"):
        for phase in ("", *(f"_l{phase}" for phase in _PHASES)):
            yield f"{name}{phase}", f"{name}_import{phase}", f"{name}_export{phase}"


def _difference(into: Decimal | None, out: Decimal | None) -> Decimal | None:
    return None if into is None or out is None else into - out


def _converted(code: str, told: Told, meaning: Meaning) -> Decimal | None:
    unit, factor = _UNITS.get(told.unit.lower(), (told.unit or meaning.quantity.unit, "1"))
    if unit != meaning.quantity.unit:
        raise ValueError(
            f"{code} comes in {told.unit}, and {meaning.name} is in {meaning.quantity.unit}; give that code "
            "another channel in the setting obis"
        )
    return None if told.value is None else told.value * Decimal(factor)
