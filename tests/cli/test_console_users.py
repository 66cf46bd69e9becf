"""``edge-agent console`` lets people in and keeps them out, with the passwords of standard input."""

import subprocess
import sys
from pathlib import Path

from edge_agent.console import users
from tests.cli.running import config

PASSWORD = "a park in the rain"


def console(file: Path, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "edge_agent", "console", *words, "--config", str(file))
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=60, check=False)


def test_a_login_is_given_and_taken_away(tmp_path: Path) -> None:
    file = config(tmp_path, tmp_path / "tty")
    given = console(file, "password", "wang", "--role", "viewer", said=f"{PASSWORD}\n")
    assert (given.returncode, given.stdout) == (0, "wang may log in as viewer; no restart is needed\n")
    known = users.read(tmp_path / "console.json")
    assert users.verify(known, "wang", PASSWORD)
    assert known["wang"].role == "viewer"
    short = console(file, "password", "wang", said="short\n")
    assert (short.returncode, "10 to 200 letters" in short.stderr) == (2, True)
    taken = console(file, "remove", "wang")
    assert (taken.returncode, taken.stdout) == (0, "wang is kept out; no restart is needed\n")
    again = console(file, "remove", "wang")
    assert (again.returncode, "wang has no login" in again.stderr) == (2, True)
    assert users.read(tmp_path / "console.json") == {}
