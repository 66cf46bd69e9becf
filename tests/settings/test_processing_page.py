"""The examples of docs/processing.md are configurations, and the words it quotes are the program's."""

import re
from pathlib import Path

from edge_agent.processing import average, counter
from edge_agent.settings.load import load

PAGE = (Path(__file__).parents[2] / "docs" / "processing.md").read_text("utf-8")
AROUND = """
config = 1
gateway = { site = "east-park", id = "gw-01" }
[bus.cabinet-a]
port = "/dev/ttyUSB0"
[bus.gate]
port = "contact:///dev/ttyUSB1?line=cts"
"""


def test_its_examples_are_a_configuration(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "agent.toml"
    file.write_text("\n".join([AROUND, *blocks]), "utf-8")
    config = load(file)
    meter = config.device["meter-7"]
    assert meter.average == 60
    assert set(meter.channel["power"].alarm) == {"overload", "feeding-back"}
    assert config.device["gate"].channel["contact"].alarm["left-open"].delay == 300
    told = config.device["meter-8"].channel["energy_import"].counter
    assert told is not None
    assert (told.rollover, told.continue_) == (1_000_000, True)


def test_it_names_the_reasons() -> None:
    for quality in (average.PARTIAL, counter.FELL, counter.REPLACED):
        assert f"`{quality.reason}`" in PAGE
