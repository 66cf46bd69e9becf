"""Electricity meters that send SML unasked over their information interface: eHZ, mMe and the like.

SML version 1.04 (BSI TR-03109-1, annex IV a): a telegram each one to four seconds, of three messages. The
one in the middle is a GetList.Res (0701), whose list has the values. Each entry of it is a list of seven:
name (OBIS, 6 bytes), status, time, unit (IEC 62056-62), scaler (power of ten), value, signature.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from pydantic import Field

from drivers.sml.transport import cut, messages
from drivers.sml.tree import Node, Number, read
from edge_agent.driver import Channel, Driver, Garbled, Implausible, NotMine, Over, Sample, Settings, obis

_GET_LIST_RES = 0x0701
_MESSAGE, _BODY, _LIST, _ENTRY = 6, 2, 7, 7  # elements of each
_VALUES_AT = 4
_UNITS = {27: "W", 28: "VA", 29: "var", 30: "Wh", 32: "varh", 33: "A", 35: "V", 44: "Hz"}
_NONE = "1"  # the unit of what has none
_MOST_SCALED = 12  # powers of ten
_POWER = "16.7.0"
_OUTWARD = 0x800  # bit 11 of the status of DZG meters: energy flows out
_SHORT = 3  # bytes; such meters send what is really negative in four or more, or say outward


class SmlSettings(Settings):
    """How to read this meter."""

    obis: Mapping[str, str] = Field(
        default={},
        description="Further channels by OBIS code, such as `1.8.5 = energy_import_t5`; an empty name leaves "
        "out a usual one.",
    )
    dzg_sign: bool = Field(
        default=False,
        description="For DZG DVS74 meters with serial numbers below 60000000, which send some power that is "
        "drawn as negative: read it as positive.",
    )
    kermit_checksum: bool = Field(
        default=False, description="Also accept the Kermit checksum that some firmwares of Holley send."
    )


class SmlMeter:
    """Energy and power, and what else the meter tells."""

    def __init__(self, settings: SmlSettings) -> None:
        self._settings = settings
        self._meanings = obis.meanings(settings.obis)
        self.channels = [Channel(*meaning, optional=True) for meaning in obis.channels(self._meanings)]

    def decode(self, frame: bytes) -> Sequence[Sample]:
        """Turn one telegram into samples; one without a list of values is NotMine."""
        told: dict[str, obis.Told] = {}
        outward = not self._settings.dzg_sign
        for entry in _entries(read(messages(frame, kermit_too=self._settings.kermit_checksum))):
            name, status, _, unit, scaler, value, _ = entry
            outward = outward or (isinstance(status, Number) and bool(status.value & _OUTWARD))
            code = _code(name)
            if code not in self._meanings:
                continue
            if value is not None and not isinstance(value, Number):
                raise Garbled(f"{code} is no number")
            if value is not None and code == _POWER and not outward:
                value = _drawn(value)
            told.setdefault(code, obis.Told(None if value is None else _scaled(value, scaler), _unit(unit)))
        if not told:
            raise NotMine("a telegram without a known value")
        try:
            return [Sample(*pair) for pair in obis.values(told, self._meanings).items()]
        except ValueError as error:
            raise Implausible(str(error)) from error


def _entries(found: list[Node]) -> Iterator[list[Node]]:
    for message in found:
        if not isinstance(message, list) or len(message) != _MESSAGE:
            raise Garbled(f"a message that is no list of {_MESSAGE}")
        body = message[3]
        if not isinstance(body, list) or len(body) != _BODY or not isinstance(body[0], Number):
            raise Garbled("a message without a kind")
        if body[0].value != _GET_LIST_RES:
            continue
        if not isinstance(body[1], list) or len(body[1]) != _LIST:
            raise Garbled(f"values that are no list of {_LIST}")
        listed = body[1][_VALUES_AT]
        for entry in listed if isinstance(listed, list) else []:
            if not isinstance(entry, list) or len(entry) != _ENTRY:
                raise Garbled(f"an entry that is no list of {_ENTRY}")
            yield entry


def _code(name: Node) -> str:
    """Return an OBIS code as people write it, the shorter the more usual it is."""
    if not isinstance(name, bytes) or len(name) != len("ABCDEF"):
        raise Garbled("an entry without an OBIS code")
    a, b, c, d, e, f = name
    return obis.reduced(f"{a}-{b}:{c}.{d}.{e}*{f}")


def _scaled(value: Number, scaler: Node) -> Decimal:
    power = scaler.value if isinstance(scaler, Number) else 0
    if abs(power) > _MOST_SCALED:
        raise Garbled(f"a scaler of {power}")
    return Decimal(value.value).scaleb(power)


def _unit(unit: Node) -> str:
    return _UNITS.get(unit.value, f"unit {unit.value}") if isinstance(unit, Number) else _NONE


def _drawn(power: Number) -> Number:
    """Mend the sign of power that a DZG DVS74 sends in too few bytes for what it draws."""
    if power.value < 0 and power.size <= _SHORT:
        return power._replace(value=power.value + (1 << 8 * power.size))
    return power


driver = Driver(
    title="Electricity meter that sends SML",
    home=__name__,
    over=Over.STREAM,
    settings=SmlSettings,
    open=SmlMeter,
    serial=lambda _: "9600 8N1",
    cut=cut,
)
