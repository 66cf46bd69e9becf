"""``edge-agent doctor`` as a person and a program run it."""

import json
from pathlib import Path

import pytest

from tests.cli.running import config, port, running, until
from tests.cli.verb import verb

__all__ = ["port"]  # the fixture

CONFIG = """\
config = 1
gateway = { site = "east-park", id = "gw-01" }
outbox = { path = "FOLDER/outbox.db", max_size = "1MB" }
clock = { trust = "always" }
[uplink.city]
servers = ["mqtt://127.0.0.1:1"]
"""


async def test_it_tells_all_that_is_wrong_with_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(CONFIG.replace("FOLDER", str(tmp_path)), "utf-8")
    said = await verb("doctor", "-c", str(file))
    assert said.code == 1, said.err
    assert "  FAIL  mqtt://127.0.0.1:1: no connection (Connection refused)\n" in said.out
    assert "        -> check the network and the address\n" in said.out
    told = json.loads((await verb("doctor", "-c", str(file), "--offline", "--json")).out)
    assert told["ok"]
    assert {one["level"] for one in told["findings"]} <= {"OK", "WARN"}


async def test_a_file_that_cannot_be_used_is_one_of_the_findings(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("config = 1\nsite = 3\n", "utf-8")
    said = await verb("doctor", "-c", str(file), "--json")
    assert said.code == 1
    wrong = [one for one in json.loads(said.out)["findings"] if one["level"] == "FAIL"]
    assert [one["what"] for one in wrong] == [f"{file}:1", f"{file}:2"]
    assert all(one["remedy"] for one in wrong)


async def test_beside_a_running_agent(port: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked how it does, keeps its port, and goes on as before."""
    file = config(tmp_path, port)
    async with running(file) as place:
        before = json.loads((await until(place, 0, "--json")).out)
        monkeypatch.setenv("EDGE_AGENT_SOCKET", str(place))
        said = await verb("doctor", "-c", str(file), "--json")
        after = json.loads((await until(place, 0, "--json")).out)
    told = {(one["group"], one["what"]): one for one in json.loads(said.out)["findings"]}
    assert told["agent", "status"]["says"] == "east-park/gw-01 runs, and nothing is wrong with it"
    assert told["bus cabinet", str(port)]["says"] == "the running agent has it, and it is well"
    assert [bus["reopened"] for bus in after["buses"]] == [bus["reopened"] for bus in before["buses"]]
