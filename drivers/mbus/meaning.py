"""What the records of electricity, heat and water meters are called here. Data.

EN 13757-3:2018, annex B: tables of primary VIF, of the extensions FB and FD, and of VIFE.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from drivers.mbus.record import Record
from edge_agent.driver import Channel, quantity_of

_TARIFFS, _PHASES = 4, "abc"


class Measured(NamedTuple):
    """What a range of codes measures: the channel, and the value of its first code as a power of ten."""

    channel: str
    exponent: int
    divisor: int = 1


_J_PER_KWH, _S_PER_H = 3_600_000, 3600
# by first code: how many codes there are, each ten times the last
_VIFS: dict[bytes, tuple[int, Measured]] = {
    b"\x00": (8, Measured("energy_import", -6)),
    b"\x08": (8, Measured("energy_import", 0, _J_PER_KWH)),
    b"\x10": (8, Measured("volume", -6)),
    b"\x28": (8, Measured("power", -3)),
    b"\x30": (8, Measured("power", 0, _S_PER_H)),
    b"\x38": (8, Measured("flow", -6)),
    b"\x58": (4, Measured("temperature_flow", -3)),
    b"\x5c": (4, Measured("temperature_return", -3)),
    b"\x64": (4, Measured("temperature", -3)),
    b"\x7b\x00": (2, Measured("energy_import", 2)),
    b"\x7b\x28": (2, Measured("power", 5)),
    b"\x7d\x40": (16, Measured("voltage", -9)),
    b"\x7d\x50": (16, Measured("current", -12)),
}
_CODES = {
    code[:-1] + bytes([code[-1] + step]): measured._replace(exponent=measured.exponent + step)
    for code, (count, measured) in _VIFS.items()
    for step in range(count)
}
_TEXTS = {"%RH": Measured("humidity", 0), "RH%": Measured("humidity", 0)}
_PLAIN, _TABLES, _OF_THE_MAKER = 0x7C, {0x7B, 0x7D}, 0x7F

_OUTWARD = 0x3C  # only what flows backward is counted
_AS_IT_IS = {0x00, 0x3B}  # no error; only what flows forward is counted
_TIMES = {0x70 + step: step - 6 for step in range(8)} | {0x7D: 3}  # powers of ten
_ERRORS = range(0x01, 0x20)  # why there is no value
_ALL_PHASES = ("energy_import", "power", "voltage", "current")
# Behind 7F, a VIFE is the maker's own. Saia-Burgess: 01 to 03 the phases, 00 all, as in its recorded frame.
_MAKERS_PHASES = {"SBC": {0x00: "", 0x01: "_a", 0x02: "_b", 0x03: "_c"}}

_LABELS = {
    "energy_import": "Energy counted", "energy_export": "Energy counted backward", "power": "Power",
    "voltage": "Voltage", "current": "Current", "volume": "Volume", "flow": "Flow",
    "temperature_flow": "Temperature of the flow", "temperature_return": "Temperature of the return",
    "temperature": "Temperature around", "humidity": "Relative humidity",
}  # fmt: skip


def channels(own: Mapping[str, str]) -> list[Channel]:
    """Return all channels that the records can have, with an operator's own.

    Raises:
        ValueError: one of those is named after no quantity.
    """
    named = dict(_LABELS)
    for name in ("energy_import", "energy_export"):
        named |= {
            f"{name}_t{tariff}": f"{_LABELS[name]}, tariff {tariff}" for tariff in range(1, _TARIFFS + 1)
        }
    for name in ("power", "voltage", "current"):
        named |= {f"{name}_{phase}": f"{_LABELS[name]}, phase {phase.upper()}" for phase in _PHASES}
    for head, name in own.items():
        named.setdefault(name, f"Record {head}")
    return [Channel(name, quantity_of(name), label, optional=True) for name, label in named.items() if name]


def meant(record: Record, maker: str, own: Mapping[bytes, str]) -> tuple[str, Decimal | None] | None:
    """Return a record's channel and value in its canonical unit, or None where it means nothing here.

    Raises:
        ValueError: an operator's own channel is in another unit.
    """
    named = own.get(record.head)
    if named == "" or (named is None and (record.function or record.storage or record.subunit)):
        return None
    size = 2 if record.vif[0] in _TABLES else 1
    measured = _TEXTS.get(record.text.strip()) if record.vif[0] == _PLAIN else _CODES.get(record.vif[:size])
    if measured is None:
        return None
    unit = quantity_of(measured.channel).unit
    if named is not None and quantity_of(named).unit != unit:
        raise ValueError(f"record {record.head.hex()} is in {unit}; {named} is not: give it another channel")
    channel, exponent, known = _refined(measured, record.vif[size:], maker)
    if channel is None and named is None:
        return None
    value = record.value if known else None
    if value is not None:
        value = value.scaleb(exponent) / measured.divisor
    return named or _with_tariff(channel or "", record.tariff), value


def _refined(measured: Measured, extensions: bytes, maker: str) -> tuple[str | None, int, bool]:
    """Return what the VIFE make of it: the channel, the power of ten, and whether the value is known."""
    channel: str | None = measured.channel
    exponent, known = measured.exponent, True
    for at, extension in enumerate(extensions):
        if extension == _OF_THE_MAKER:
            phase = _MAKERS_PHASES.get(maker, {}).get(int.from_bytes(extensions[at + 1 :], "big"))
            whole = phase is not None and measured.channel in _ALL_PHASES
            return (f"{channel}{phase}" if whole and channel else None), exponent, known
        if extension in _TIMES:
            exponent += _TIMES[extension]
        elif extension in _ERRORS:
            known = False
        elif extension == _OUTWARD and channel == "energy_import":
            channel = "energy_export"
        elif extension not in _AS_IT_IS:
            channel = None
    return channel, exponent, known


def _with_tariff(channel: str, tariff: int) -> str:
    return f"{channel}_t{tariff}" if tariff else channel
