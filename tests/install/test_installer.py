"""install.sh without a whole version: what it refuses, what it leaves behind, what its page says of it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.install.tree import ROOT, wheel

PAGE = (ROOT / "docs/install.md").read_text("utf-8")


def install(script: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [script, *words],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """An install.sh that stands alone, as in a bundle that was not unpacked as a whole."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    return Path(shutil.copy(ROOT / "install.sh", folder))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--upgarde"], "what is --upgarde?"),
        (["--within"], "--within needs a value"),
        (["--purge"], "--purge is for --uninstall only"),
        (["--upgrade"], "there is nothing to upgrade"),
        (["--rollback"], "there is no version before the one that runs"),
        ([], "there is no folder wheels beside"),
    ],
)
def test_what_cannot_be_done_is_said(script: Path, tmp_path: Path, words: list[str], why: str) -> None:
    code, said = install(script, "--root", str(tmp_path / "root"), *words)
    assert (code, why in said) == (1, True), said


def test_wheels_that_do_not_fit_leave_nothing_that_runs(script: Path, tmp_path: Path) -> None:
    wheel(ROOT, script.parent / "wheels")  # and none of the libraries
    root = tmp_path / "root"
    code, said = install(script, "--root", str(root))
    assert (code, "these wheels do not fit" in said) == (1, True), said
    assert not (root / "opt/edge-agent/current").exists()
    assert not list(root.glob("opt/edge-agent/versions/*/complete"))
    assert not (root / "etc").exists()
    code, said = install(script, "--root", str(root), "--uninstall")
    assert (code, (root / "opt/edge-agent").exists()) == (0, False), said


def test_one_at_a_time(script: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "run").mkdir(parents=True)
    lock = root / "run/edge-agent-install.lock"
    with subprocess.Popen(["flock", lock, "sleep", "60"]) as other:
        while subprocess.run(["flock", "-n", lock, "true"], check=False, timeout=60).returncode == 0:
            pass
        code, said = install(script, "--root", str(root), "--uninstall")
        other.terminate()
    assert (code, "another install.sh is at work here" in said) == (1, True), said


def test_its_page_says_what_it_does(script: Path) -> None:
    _, usage = install(script, "--help")
    assert set(re.findall(r"--[a-z]+", " ".join(re.findall(r"install\.sh(.*)", PAGE)))) <= set(
        re.findall(r"--[a-z]+", usage)
    )
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert PAGE.count("```") == 2 * len(blocks)
    parsed = subprocess.run(["/bin/sh", "-n"], input="\n".join(blocks), text=True, timeout=10, check=False)
    assert parsed.returncode == 0
    made = (ROOT / "install.sh").read_text("utf-8") + (ROOT / "systemd/edge-agent.tmpfiles.conf").read_text()
    places = re.findall(r"^\| `(/[\w/.-]+?)(?:/X)?` \|", PAGE, re.MULTILINE)
    assert len(places) == 6
    assert [place for place in places if place.removeprefix("/opt/edge-agent/") not in made] == []
