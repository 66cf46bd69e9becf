"""What docs/driver.md tells to do works: the profile it shows, and what ``make new-driver`` makes."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = "acme_tx20"
PARTS = ("edge_agent", "drivers", "scripts", "tests/drivers", "tests/fuzz", "pyproject.toml")


def run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module or script in the copy, which comes before the installed project."""
    environment = os.environ | {"PYTHONPATH": str(tree), "CI": "true"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def install(tree: Path) -> None:
    """Write what an installation writes of the copy's entry points, without an index to install from."""
    project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    installed = tree / "smartpark_edge_agent-0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0\n", "utf-8"
    )
    (installed / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
            for group, points in project["entry-points"].items()
        ),
        "utf-8",
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for part in PARTS:
        source, target = ROOT / part, tmp_path / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return tmp_path


def test_a_new_driver_passes_the_tests_of_all_drivers(tree: Path) -> None:
    made = run(tree, "scripts/new_driver.py", NAME)
    assert made.returncode == 0, made.stderr
    install(tree)
    page = run(tree, "-c", "from edge_agent.cli import main; main()", "drivers", "page", NAME)
    assert page.returncode == 0, page.stderr
    (tree / "drivers" / NAME / "README.md").write_text(page.stdout, "utf-8")
    tests = run(
        tree, "-m", "pytest", "-p", "no:cacheprovider", "tests/drivers/test_vectors.py",
        "tests/drivers/test_folders.py", "tests/drivers/test_fuzz.py", "-k", NAME,
    )  # fmt: skip
    assert tests.returncode == 0, tests.stdout
    for verb in (["check"], ["format", "--check"]):
        lint = run(tree, "-m", "ruff", *verb, "drivers")
        assert lint.returncode == 0, lint.stdout


def test_the_profile_that_is_shown_passes_the_tests_of_all_profiles(tree: Path) -> None:
    text = (ROOT / "docs" / "driver.md").read_text("utf-8")
    (profile,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tree / "drivers" / "modbus" / "profiles" / "acme_m1.toml").write_text(profile, "utf-8")
    tests = run(
        tree, "-m", "pytest", "-p", "no:cacheprovider", "tests/drivers/test_profiles.py", "-k", "acme_m1"
    )
    assert tests.returncode == 0, tests.stdout
    assert "2 passed" in tests.stdout


@pytest.mark.parametrize("name", ["", "Foo", "my-driver", "../up", "modbus"])
def test_a_name_that_cannot_be_is_refused_and_changes_nothing(tree: Path, name: str) -> None:
    before = sorted(tree.rglob("*")), (tree / "pyproject.toml").read_text("utf-8")
    made = run(tree, "scripts/new_driver.py", name)
    assert made.returncode == 1
    assert "name" in made.stderr
    assert (sorted(tree.rglob("*")), (tree / "pyproject.toml").read_text("utf-8")) == before
