"""Secrets: where they are looked up, and that they are never shown."""

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.settings.error import SettingsError
from edge_agent.settings.load import load
from edge_agent.settings.model import Config
from edge_agent.settings.secret import FOLDER

GATEWAY = """\
config = 1
[gateway]
site = "east-park"
id = "gw-01"
"""
Loaded = Callable[[str], Config]
Refused = Callable[[str], list[str]]


UPLINK = '[uplink.u]\nservers = ["mqtt://b"]\nusername = "me"\n'


def test_a_secret_is_looked_up_where_systemd_hands_it_over(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "pw").write_text("hunter 2\n", "utf-8")
    password = loaded(UPLINK + 'password = { secret = "pw" }').uplink["u"].password
    assert password
    assert password.get_secret_value() == "hunter 2"


def test_the_mark_with_which_some_editors_begin_a_file_is_no_part_of_a_secret(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "pw").write_bytes(b"\xef\xbb\xbfhunter 2\r\n")
    password = loaded(UPLINK + 'password = { secret = "pw" }').uplink["u"].password
    assert password
    assert password.get_secret_value() == "hunter 2"


def test_a_missing_secret_names_both_folders(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    [problem] = refused(UPLINK + 'password = { secret = "pw" }')
    assert problem.startswith(
        f"4: uplink.u.password: there is no secret 'pw' in {tmp_path} and {FOLDER}; put"
    )


@pytest.mark.parametrize("name", ["../pw", "", ".hidden", "a/b"])
def test_a_secret_is_never_looked_up_elsewhere(refused: Refused, name: str) -> None:
    [problem] = refused(UPLINK + f'password = {{ secret = "{name}" }}')
    assert "is not a secret's name" in problem


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"\xff", b"x" * 70_000])
def test_a_secret_is_one_line_of_text(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "pw").write_bytes(content)
    [problem] = refused(UPLINK + 'password = { secret = "pw" }')
    assert "is not one line of text" in problem


def test_a_password_is_never_shown(file: Path, loaded: Loaded) -> None:
    config = loaded(UPLINK + 'password = "hunter2"')
    assert "hunter2" not in repr(config) + str(config) + str(config.model_dump())
    for text in (
        '[uplink.u]\nservers = ["mqtt://me:hunter2@b"]',
        '[uplink.u]\nservers = ["mqtt://b"]\npassword = "hunter2"',
        '[uplink.u]\nservers = ["mqtt://b"]\nusername = 3\npassword = ["hunter2"]',
        '[uplink.u]\nservers = ["mqtt://b"]\nusername = "m"\npassword = { secrt = "hunter2" }',
        '[uplink.u]\npassword = "hunter2"\npassword = "hunter2"',
    ):
        file.write_text(GATEWAY + text, "utf-8")
        with pytest.raises(SettingsError) as caught:
            load(file)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_what_cannot_be_read_is_told(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "pw").mkdir()
    [problem] = refused(UPLINK + 'password = { secret = "pw" }')
    assert f"secret {tmp_path / 'pw'} cannot be read (Is a directory)" in problem
