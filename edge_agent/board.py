"""What the board says of itself: how hot it is, how busy, and whether power or heat hold it back.

Read when somebody asks. Linux kernel documentation: driver-api/thermal/sysfs-api (zones in thousandths of a
degree, cooling devices), hwmon/raspberrypi-hwmon (``in0_lcrit_alarm`` of ``rpi_volt``). The firmware's own
``get_throttled`` is left alone: the kernel calls it deprecated, and warns of whoever reads it.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CPU = ("cpu", "soc", "x86_pkg")  # what the zone of the processor is called on boards of several makers


@dataclass(frozen=True, slots=True)
class Board:
    """None stands for what this board does not tell.

    ``temperature`` of the processor in Cel; ``load`` of the last minute, in processes that ran or wanted to;
    ``cores`` to run them. ``throttled``: it is kept slower than it could be, by heat; ``under_voltage``: its
    supply was too weak.
    """

    temperature: float | None
    load: float
    cores: int
    throttled: bool | None
    under_voltage: bool | None

    def wrong(self) -> Iterator[str]:
        """Say what a person should look at, and what to do."""
        if self.under_voltage:
            yield "the board's power supply was too weak; use a stronger one, and a short cable"
        if self.throttled:
            yield "the board is too hot, and runs slower; give it air or a cooler"


def look(sys: Path = Path("/sys")) -> Board:
    """Look at the board as it is now."""
    return Board(
        _temperature(sys / "class/thermal"),
        round(os.getloadavg()[0], 2),
        os.cpu_count() or 1,
        _throttled(sys / "class/thermal"),
        _under_voltage(sys / "class/hwmon"),
    )


def _temperature(thermal: Path) -> float | None:
    for zone in sorted(thermal.glob("thermal_zone*")):
        if _text(zone / "type").startswith(_CPU) and (milli := _number(zone / "temp")) is not None:
            return round(milli / 1000, 1)
    return None


def _throttled(thermal: Path) -> bool | None:
    states = [
        state
        for device in thermal.glob("cooling_device*")
        if "cpufreq" in _text(device / "type") and (state := _number(device / "cur_state")) is not None
    ]
    return any(states) if states else None


def _under_voltage(hwmon: Path) -> bool | None:
    for chip in hwmon.glob("hwmon*"):
        if _text(chip / "name") == "rpi_volt" and (alarm := _number(chip / "in0_lcrit_alarm")) is not None:
            return bool(alarm)
    return None


def _text(file: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text("ascii").strip()
    return ""


def _number(file: Path) -> int | None:
    with suppress(ValueError):
        return int(_text(file))
    return None
