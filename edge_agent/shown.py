"""How a value and its unit are written for people, wherever they are shown."""

import os
import sys

from edge_agent.reading import Value


def value(found: Value | None) -> str:
    """Write a value: at most three decimals, ``yes`` or ``no``, and ``-`` for none."""
    match found:
        case None:
            return "-"
        case bool():
            return "yes" if found else "no"
        case float():
            return f"{found:.3f}".rstrip("0").rstrip(".")
        case _:
            return str(found)


def unit(code: str) -> str:
    """Write a UCUM code; a plain number has none."""
    return {"1": "", "Cel": "°C", "kW.h": "kWh", "V.A": "VA", "[ppm]": "ppm"}.get(code, code)


def with_unit(found: Value | None, code: str) -> str:
    """Write both: ``230.5 V``."""
    return f"{value(found)} {unit(code)}".rstrip()


def nobody_reads() -> None:
    """Give up stdout, whose reader has gone: what is still in it would fail once more at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
