"""What systemd starts leaves the command line's libraries out, and is the same verb."""

import subprocess
import sys
from pathlib import Path

import pytest

_UNIT = Path(__file__).parents[2] / "systemd" / "edge-agent.service"
_WITHIN_S = 60


def _told(*words: str) -> tuple[int, str, set[str]]:
    """Run a verb; return its exit code, what it said, and what it imported."""
    command = (sys.executable, "-X", "importtime", "-m", "edge_agent", *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
    lines = done.stderr.splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    return done.returncode, "\n".join(line for line in lines if not line.startswith("import")), imported


@pytest.mark.parametrize("joined", [False, True])
def test_run_as_the_unit_starts_it(tmp_path: Path, joined: bool) -> None:  # noqa: FBT001 - a parameter
    """``--config=FILE`` is what nobody's unit says: it goes by way of the command line, to the same end."""
    (started,) = (line for line in _UNIT.read_text("utf-8").splitlines() if line.startswith("ExecStart="))
    _, *words, _ = started.split()
    file = str(tmp_path / "none.toml")
    words = [words[0], f"{words[1]}={file}"] if joined else [*words, file]
    code, said, imported = _told(*words)
    assert code == 78, said
    assert file in said
    assert "edge_agent.service" in imported
    assert ("typer" in imported) is joined


def test_other_verbs_go_by_way_of_the_command_line() -> None:
    code, _, imported = _told("version")
    assert code == 0
    assert "typer" in imported
    assert "edge_agent.service" not in imported
