"""``edge-agent rename``: the file and the outbox change together, and only when nothing is owed."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.clock import SystemClock
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity, Policy
from edge_agent.reading import Reading
from edge_agent.settings.load import load

FILE = """\
config = 1
[gateway]
site = "east-park"   # the one by the river
id = "gw-01"
[outbox]
path = "{outbox}"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(FILE.format(outbox=tmp_path / "outbox.db"), "utf-8")
    file.chmod(0o640)
    return file


async def _kept(path: Path, uplinks: list[str]) -> None:
    clock = SystemClock("always")
    outbox = await Outbox.open(
        path, Identity("east-park", "gw-01"), Policy(1, 100, 3600, 10**8), clock, uplinks
    )
    await outbox.enroll("d1", "hash", "{}", ["temperature"])
    outbox.keep(Reading("d1", clock.mono_ms(), {"temperature": 20.5}, {}))
    await outbox.flush()
    await outbox.close()


def _rename(config: Path, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["rename", "--config", str(config), "--yes", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_file_keeps_its_comments_and_its_mode(config: Path) -> None:
    asyncio.run(_kept(config.with_name("outbox.db"), []))
    code, said, _ = _rename(config, "--gateway", "gw-02", "--site", "west-park")
    assert code == 0
    assert "east-park/gw-01 becomes west-park/gw-02" in said
    text = config.read_text("utf-8")
    assert 'site = "west-park"   # the one by the river\nid = "gw-02"\n' in text
    assert config.stat().st_mode & 0o777 == 0o640
    with closing(sqlite3.connect(config.with_name("outbox.db"))) as db:
        origins = db.execute("SELECT gateway, origin FROM epoch ORDER BY id").fetchall()
    assert origins == [("gw-01", "created"), ("gw-02", "renamed")]


def test_a_file_of_another_system_s_editor_keeps_the_ends_of_its_lines(config: Path) -> None:
    asyncio.run(_kept(config.with_name("outbox.db"), []))
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes().replace(b"\n", b"\r\n"))
    code, said, wrong = _rename(config, "--gateway", "gw-02")
    assert code == 0, said + wrong
    assert b'id = "gw-02"\r\n' in config.read_bytes()
    assert load(config).gateway.id == "gw-02"


def test_a_link_to_the_file_stays_one(config: Path) -> None:
    asyncio.run(_kept(config.with_name("outbox.db"), []))
    target = config.rename(config.with_name("kept-elsewhere.toml"))
    config.symlink_to(target)
    code, said, wrong = _rename(config, "--gateway", "gw-02")
    assert code == 0, said + wrong
    assert config.is_symlink()
    assert load(target).gateway.id == "gw-02"


def test_what_the_environment_overrides_is_to_be_changed_there_too(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(
        FILE.replace('id = "gw-01"\n', "").format(outbox=config.with_name("outbox.db")), "utf-8"
    )
    monkeypatch.setenv("EDGE_AGENT__GATEWAY__ID", "gw-01")
    asyncio.run(_kept(config.with_name("outbox.db"), []))
    code, said, _ = _rename(config, "--site", "west-park")
    assert (code, "The environment" in said) == (0, False), said
    assert 'site = "west-park"' in config.read_text("utf-8")
    code, said, _ = _rename(config, "--gateway", "gw-02")
    assert (code, "set EDGE_AGENT__GATEWAY__ID=gw-02 there, too" in said) == (0, True), said
    monkeypatch.setenv("EDGE_AGENT__GATEWAY__ID", "gw-02")
    assert load(config).gateway.id == "gw-02"
    with closing(sqlite3.connect(config.with_name("outbox.db"))) as db:
        epochs = db.execute("SELECT site, gateway FROM epoch ORDER BY id").fetchall()
    assert epochs == [("east-park", "gw-01"), ("west-park", "gw-01"), ("west-park", "gw-02")]


def test_what_is_owed_goes_out_under_the_old_name_first(config: Path) -> None:
    asyncio.run(_kept(config.with_name("outbox.db"), ["city"]))
    before = config.read_text("utf-8")
    code, _, error = _rename(config, "--gateway", "gw-02")
    assert code == 2
    assert "1 reading to city" in error.replace("\n", " ")
    assert config.read_text("utf-8") == before


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ([], "it is east-park/gw-01 already"),
        (["--gateway", "Gate 2"], "such as 'gate-2'"),
    ],
)
def test_what_is_no_new_name(config: Path, arguments: list[str], wrong: str) -> None:
    code, _, error = _rename(config, *arguments)
    assert code == 2
    assert wrong in error.replace("\n", " ")
