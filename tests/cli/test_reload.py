"""``edge-agent reload``: what changed, or what is wrong; the agent goes on either way."""

import json
from pathlib import Path

from tests.cli.running import config, port, running, until
from tests.cli.verb import verb

__all__ = ["port"]  # the fixture


async def test_what_changed_and_what_is_wrong(port: Path, tmp_path: Path) -> None:
    file = config(tmp_path, port)
    text = file.read_text("utf-8")
    async with running(file) as place:
        before = json.loads((await until(place, 0, "--json")).out)
        same = await verb("reload", "--socket", str(place))
        assert (same.code, same.out) == (0, "nothing changed\n")
        file.write_text(text.replace("hall-b", "hall-c"), "utf-8")
        said = await verb("reload", "--socket", str(place))
        assert (said.code, "air" in said.out) == (0, True)
        file.write_text(text.replace("xy_md02", "xy_md0"), "utf-8")
        wrong = await verb("reload", "--socket", str(place))
        assert (wrong.code, wrong.out) == (78, "")
        assert wrong.err.startswith(f"not reloaded: {file}:")
        told = json.loads((await verb("reload", "--json", "--socket", str(place))).out)
        assert told["changes"] == []
        assert len(told["problems"]) == 1
        now = json.loads((await until(place, 1, "--json")).out)
        assert "the last good configuration" in now["wrong"][0]
        assert now["devices"][0]["place"] == "hall-c"
        assert now["uptime_s"] > before["uptime_s"]
    nobody = await verb("reload", "--socket", str(tmp_path / "none"))
    assert (nobody.code, "no agent runs here" in nobody.err) == (2, True)
