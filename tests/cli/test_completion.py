"""What a shell is told when it asks what a word may become."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_AS_INSTALLED = "import sys; sys.argv[0] = 'edge-agent'; from edge_agent.__main__ import main; main()"
CONFIG = """\
config = 1
[device.meter-7]
driver = "modbus"
[device.meter-8]
driver = "modbus"
[device.radar]
driver = "ld2410"
"""


def completed(*words: str) -> list[str]:
    """Ask as bash does: all words, the last of them unfinished."""
    told = {"COMP_WORDS": " ".join(("edge-agent", *words)), "COMP_CWORD": str(len(words))}
    run = subprocess.run(
        [sys.executable, "-c", _AS_INSTALLED],
        env=os.environ | told | {"_EDGE_AGENT_COMPLETE": "complete_bash"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return run.stdout.split()


def test_verbs_options_and_names_are_completed(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(CONFIG, "utf-8")
    assert completed("diag") == ["diagnostics"]
    assert completed("plan", "--end") == ["--endurance"]
    assert completed("read", "--config", str(file), "me") == ["meter-7", "meter-8"]
    assert completed("drivers", "page", "ld") == ["ld2410", "ld2412", "ld2450"]


@pytest.mark.parametrize(("shell", "check"), [("bash", ["bash", "-n"]), ("zsh", []), ("fish", [])])
def test_a_script_is_printed_for_each_shell(shell: str, check: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "edge_agent", "completion", shell],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "_EDGE_AGENT_COMPLETE" in run.stdout
    assert "edge-agent" in run.stdout
    if check:
        assert shutil.which(check[0])
        subprocess.run(check, input=run.stdout, text=True, check=True, timeout=60)
