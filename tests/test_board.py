"""What a board says in /sys, as the kernel's documentation has it."""

from pathlib import Path

import pytest

from edge_agent import board


def files(sys: Path, **said: str) -> Path:
    for name, text in said.items():
        file = sys / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "ascii")
    return sys


def test_a_raspberry_pi(tmp_path: Path) -> None:
    sys = files(
        tmp_path,
        class__thermal__thermal_zone0__type="wifi\n",
        class__thermal__thermal_zone0__temp="70000\n",
        class__thermal__thermal_zone1__type="cpu-thermal\n",
        class__thermal__thermal_zone1__temp="51540\n",
        class__thermal__cooling_device0__type="cpufreq-cpu0\n",
        class__thermal__cooling_device0__cur_state="0\n",
        class__hwmon__hwmon1__name="rpi_volt\n",
        class__hwmon__hwmon1__in0_lcrit_alarm="0\n",
    )
    found = board.look(sys)
    assert (found.temperature, found.throttled, found.under_voltage) == (51.5, False, False)
    assert list(found.wrong()) == []
    files(
        tmp_path,
        class__thermal__cooling_device0__cur_state="2\n",
        class__hwmon__hwmon1__in0_lcrit_alarm="1\n",
    )
    found = board.look(sys)
    assert (found.throttled, found.under_voltage) == (True, True)
    power, heat = found.wrong()
    assert "use a stronger one" in power
    assert "give it air" in heat


def test_a_board_that_tells_nothing(tmp_path: Path) -> None:
    found = board.look(tmp_path)
    assert (found.temperature, found.throttled, found.under_voltage) == (None, None, None)
    assert found.load >= 0
    assert found.cores >= 1


@pytest.mark.parametrize("said", ["", "hot\n", "\u00e9"])
def test_what_is_no_number_is_not_known(tmp_path: Path, said: str) -> None:
    sys = files(tmp_path, class__thermal__thermal_zone0__type="soc-thermal\n")
    (sys / "class/thermal/thermal_zone0/temp").write_text(said, "utf-8")
    assert board.look(sys).temperature is None
