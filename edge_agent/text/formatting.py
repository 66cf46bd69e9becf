"""How values, units and foreign text are written for people, wherever they are shown."""

import os
import re
import sys

from edge_agent.reading import Value

# All but the line's end and the tab. A lone half of a UTF-16 pair is a byte that was not UTF-8.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_LONG = ((86_400, "d"), (3_600, "h"), (60, "min"))


def plain(text: str) -> str:
    """Write each control character as JSON does, so that no device or file can steer a terminal."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def value(found: Value | None) -> str:
    """Write a value: at most three decimals, ``yes`` or ``no``, and ``-`` for none."""
    match found:
        case None:
            return "-"
        case bool():
            return "yes" if found else "no"
        case float():
            return f"{found:.3f}".rstrip("0").rstrip(".")
        case str():
            return plain(found).replace("\n", "\\n")
        case _:
            return str(found)


def unit(code: str) -> str:
    """Write a UCUM code; a plain number has none."""
    return {"1": "", "Cel": "°C", "kW.h": "kWh", "V.A": "VA", "[ppm]": "ppm"}.get(code, code)


def with_unit(found: Value | None, code: str) -> str:
    """Write both: ``230.5 V``."""
    return f"{value(found)} {unit(code)}".rstrip()


def duration(seconds: float) -> str:
    """Write how long something took or is ago, roughly: ``12 s``, ``5 min``, ``3 h``, ``2 d``."""
    for size, name in _LONG:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


def nobody_reads() -> None:
    """Give up stdout, whose reader has gone: what is still in it would fail once more at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
