"""``edge-agent backup`` and ``restore``: all of a gateway's folder, and never a file anywhere else."""

import io
import json
import os
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app

FILE = 'config = 1\ngateway = { site = "east-park", id = "gw-01" }\n'
LABEL = {
    "site": "east-park", "gateway": "gw-01", "version": "1.0.0", "config": "agent.toml",
    "ts": None, "has_outbox": False, "backup": 1,
}  # fmt: skip


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join((result.stdout + result.stderr).split())


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    (folder / "conf.d").mkdir(parents=True)
    (folder / "secrets").mkdir(mode=0o700)
    (folder / "agent.toml").write_text(FILE, "utf-8")
    (folder / "agent.toml").chmod(0o640)
    secret = folder / "secrets" / "city-password"
    secret.write_text("opensesame")
    secret.chmod(0o600)
    (folder / "ca.pem").symlink_to(secret)
    return folder


def test_a_folder_there_and_back(etc: Path, tmp_path: Path) -> None:
    saved, back = tmp_path / "gw.tar.gz", tmp_path / "back"
    code, said = run("backup", "-c", etc / "agent.toml", saved)
    assert code == 0, said
    assert saved.stat().st_mode & 0o777 == 0o600
    assert "secrets" in said
    code, said = run("restore", "--folder", back, saved)
    assert code == 0, said
    assert {str(path.relative_to(back)) for path in back.rglob("*")} == {
        "agent.toml", "ca.pem", "conf.d", "secrets", "secrets/city-password",
    }  # fmt: skip
    assert (back / "agent.toml").read_text("utf-8") == FILE
    assert (back / "ca.pem").read_text() == "opensesame", "a link is the file that it leads to"
    modes = [
        (back / name).stat().st_mode & 0o777 for name in ("agent.toml", "secrets/city-password", "secrets")
    ]
    assert modes == [0o640, 0o600, 0o700]


def test_nothing_is_overwritten_unasked(etc: Path, tmp_path: Path) -> None:
    saved = tmp_path / "gw.tar.gz"
    assert run("backup", "-c", etc / "agent.toml", saved)[0] == 0
    code, said = run("backup", "-c", etc / "agent.toml", saved)
    assert (code, "is there already" in said) == (2, True)
    (etc / "agent.toml").write_text(FILE.replace("gw-01", "gw-09"), "utf-8")
    code, said = run("restore", "--folder", etc, saved)
    assert (code, "--force" in said) == (2, True)
    assert "gw-09" in (etc / "agent.toml").read_text("utf-8")
    assert run("restore", "--force", "--folder", etc, saved)[0] == 0
    assert "gw-01" in (etc / "agent.toml").read_text("utf-8")
    assert "gw-09" in (tmp_path / "etc.before" / "agent.toml").read_text("utf-8")
    code, said = run("restore", "--force", "--folder", etc, saved)
    assert (code, "from an earlier time" in said) == (2, True), "what was set aside first is not lost"


def _made(file: Path, *members: tarfile.TarInfo, label: object = LABEL) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        told = json.dumps(label).encode()
        first = tarfile.TarInfo("backup.json")
        first.size = len(told)
        tar.addfile(first, io.BytesIO(told))
        for member in members:
            tar.addfile(member, io.BytesIO(b"\0" * member.size))
    return file


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def test_a_backup_is_not_in_itself(etc: Path) -> None:
    there = sorted(etc.iterdir())
    code, said = run("backup", "-c", etc / "agent.toml", etc / "gw.tar.gz")
    assert (code, "would be in itself" in said) == (2, True), said
    assert sorted(etc.iterdir()) == there


def test_an_outbox_that_may_not_be_replaced_leaves_no_copy_behind(etc: Path, tmp_path: Path) -> None:
    path, saved = tmp_path / "lib" / "outbox.db", tmp_path / "gw.tar.gz"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE log (id INTEGER)")
    (etc / "agent.toml").write_text(FILE + f'outbox.path = "{path}"\n', "utf-8")
    code, said = run("backup", "--outbox", "-c", etc / "agent.toml", saved)
    assert code == 0, said
    code, said = run("restore", "--folder", tmp_path / "back", saved)
    assert (code, "is set aside" in said) == (2, True), said
    assert list(path.parent.iterdir()) == [path]


def test_an_outbox_that_is_there_is_seen_before_the_other_is_unpacked(tmp_path: Path) -> None:
    """This backup has none to unpack, though it says so."""
    path, saved = tmp_path / "lib" / "outbox.db", tmp_path / "gw.tar.gz"
    path.parent.mkdir()
    path.touch()
    text = f'{FILE}outbox.path = "{path}"\n'.encode()
    with tarfile.open(saved, "w:gz") as tar:
        for name, content in (
            ("backup.json", json.dumps(LABEL | {"has_outbox": True}).encode()),
            ("config/agent.toml", text),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    code, said = run("restore", "--folder", tmp_path / "back", saved)
    assert (code, "there is an outbox; with --force it is set aside" in said) == (2, True), said
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    "member",
    [
        _member("config/../../outside"),
        _member("/etc/outside"),
        _member("../outside"),
        _member("config/link", tarfile.SYMTYPE, "/etc/passwd"),
        _member("config/device", tarfile.CHRTYPE),
    ],
    ids=lambda member: member.name,
)
def test_a_backup_that_somebody_changed(tmp_path: Path, member: tarfile.TarInfo) -> None:
    folder = tmp_path / "a" / "etc"
    folder.parent.mkdir()
    code, said = run("restore", "--folder", folder, _made(tmp_path / "gw.tar.gz", member))
    assert (code, "somebody changed it" in said) == (2, True), said
    assert not list(folder.parent.iterdir())
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    ("label", "wrong"),
    [
        ({**LABEL, "backup": 2}, "newer agent"),
        ([], "is no backup"),
        ({"site": "east-park"}, "is no backup"),
    ],
)
def test_what_is_no_backup_of_ours(tmp_path: Path, label: object, wrong: str) -> None:
    code, said = run("restore", "--folder", tmp_path / "etc", _made(tmp_path / "gw.tar.gz", label=label))
    assert (code, wrong in said) == (2, True), said


def test_a_file_that_was_cut_off(etc: Path, tmp_path: Path) -> None:
    saved = tmp_path / "gw.tar.gz"
    (etc / "profile.toml").write_bytes(os.urandom(50_000))
    assert run("backup", "-c", etc / "agent.toml", saved)[0] == 0
    os.truncate(saved, 30_000)
    code, said = run("restore", "--folder", tmp_path / "back", saved)
    assert (code, "cannot be read as a backup" in said) == (2, True), said
    assert not (tmp_path / "back").exists()


def test_an_outbox_that_is_not_there(etc: Path, tmp_path: Path) -> None:
    saved = tmp_path / "gw.tar.gz"
    (etc / "agent.toml").write_text(f'{FILE}[outbox]\npath = "{tmp_path / "outbox.db"}"\n', "utf-8")
    code, said = run("backup", "--outbox", "-c", etc / "agent.toml", saved)
    assert (code, "outbox.db" in said) == (2, True), said
    assert list(tmp_path.iterdir()) == [etc], "nothing is left of it"
