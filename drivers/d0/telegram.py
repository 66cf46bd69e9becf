"""The text of meters after IEC 62056-21: lines of OBIS codes with values, as read out and as pushed. Pure.

IEC 62056-21:2002, 6.3 and 6.5: ``code(value*unit)``, any number of them in a line, and any number of values
behind a code. DSMR 5.0.2 (P1 companion standard) has the same lines.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from edge_agent.driver import Garbled, Implausible, Sample, obis

LONGEST = 4000
"""Bytes of a telegram, or of a data block; those of meters have 100 to 3000."""

_SEVEN_BITS = bytes(byte & 0x7F for byte in range(256))
_LINE = re.compile(r"(?:[^()]*\([^()]*\))*")  # one way to match each line: with two, noise takes for ever
_SET = re.compile(r"([^()]*)((?:\([^()]*\))+)")
_NUMBER = re.compile(r"([+-]?\d{1,18}(?:\.\d{0,12})?)(?:\*?([A-Za-z]{1,8}[23]?)|\*)?")  # some leave out the *
_UNKNOWN = re.compile(r"[-*. ]*")


def seven_bits(heard: bytes) -> bytes:
    """Return what was heard without the eighth bit, which is a parity bit where the line runs at 8N1."""
    return heard.translate(_SEVEN_BITS)


def read(text: str) -> dict[str, obis.Told]:
    """Return the values by their reduced code; of a code with several values, the one with a unit.

    Raises:
        Garbled: a line is none of codes and values, or has bytes that are no text.
    """
    told: dict[str, obis.Told] = {}
    for line in text.splitlines():
        if not line.isprintable() or not _LINE.fullmatch(line.strip()):
            raise Garbled(f"a line that is none of codes and values: {line[:40]!r}")
        for code, values in _SET.findall(line.strip()):
            told.setdefault(obis.reduced(code), _value(values[1:-1].split(")(")))
    return told


def _value(values: list[str]) -> obis.Told:
    chosen = next((value for value in values if "*" in value), values[0])
    number = _NUMBER.fullmatch(chosen)
    return obis.Told(Decimal(number[1]), number[2] or "") if number else obis.Told(None, chosen)


def samples(told: Mapping[str, obis.Told], meanings: Mapping[str, obis.Meaning]) -> Sequence[Sample]:
    """Return the values that mean something.

    Raises:
        Garbled: one of them is no number.
        Implausible: one comes in a unit that is none of its quantity's.
    """
    known = {code: _checked(code, one) for code, one in told.items() if code in meanings}
    try:
        return [Sample(*pair) for pair in obis.values(known, meanings).items()]
    except ValueError as error:
        raise Implausible(str(error)) from error


def _checked(code: str, told: obis.Told) -> obis.Told:
    if told.value is None and not _UNKNOWN.fullmatch(told.unit.partition("*")[0]):
        raise Garbled(f"{code} is no number: {told.unit[:40]!r}")
    return told if told.value is not None else obis.Told(None, "")
