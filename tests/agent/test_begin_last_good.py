"""A start at which the files cannot be used, in a process of its own: log, status and MQTT say so."""

import json
from pathlib import Path

from tests.cli.running import config, port, running, until
from tests.cli.verb import verb
from tests.faults import broker as brokers
from tests.uplink.rig import listening

__all__ = ["port"]  # the fixture


async def test_it_begins_with_the_last_good_configuration(port: Path, tmp_path: Path) -> None:
    async with brokers.running(tmp_path / "broker") as served, listening(served.port) as heard:
        file = config(tmp_path, port, f'[uplink.city]\nservers = ["mqtt://127.0.0.1:{served.port}"]\n')
        right = file.read_text("utf-8")
        async with running(file) as place:
            await until(place, 0)
        file.write_text(right.replace("xy_md02", "xy_md0"), "utf-8")
        strict = await verb("run", "--strict", "--config", str(file), "--socket", str(tmp_path / "none"))
        assert (strict.code, "xy_md0" in strict.err) == (78, True)
        async with running(file) as place:
            told = json.loads((await until(place, 1, "--json")).out)
            assert "the last good configuration goes on" in told["problem"]
            assert "xy_md0" in told["problem"]
            assert told["devices"][0]["seq"] > 0
            assert heard.of("health")[-1].payload["problem"] == told["problem"]
            file.write_text(right, "utf-8")
            assert (await verb("reload", "--socket", str(place))).out == "nothing changed\n"
            await until(place, 0)
        (tmp_path / "outbox.db.last-good.json").unlink()
        file.write_text(right.replace("xy_md02", "xy_md0"), "utf-8")
        assert (await verb("run", "--config", str(file), "--socket", str(tmp_path / "none"))).code == 78
