"""``edge-agent doctor`` as a person and a program run it."""

import json
from pathlib import Path

from tests.cli.verb import verb

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
