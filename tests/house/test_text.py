"""What no file of the project may hold: places of one machine, package indexes, vague names, long modules."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 350  # lines of a Python module
VAGUE = {"common", "handler", "handlers", "helper", "helpers", "manager", "managers", "util", "utils"}

MACHINE = re.compile(r"(?<![\w.$}/-])/(?:work|root|home)/[\w.]")
# Put together here, so that this file does not hold what it looks for.
INDEX = re.compile(
    "|".join(
        (
            r"pypi\." + "org",
            "python" + r"hosted\.org",
            "piwheels" + r"\.org",
            r"registry\." + "(npmjs|yarnpkg)",
            "index" + "-url",
        )
    )
)


@cache
def files() -> list[str]:
    """Return every file of the project: those git keeps, and new ones that it does not ignore."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, check=True, capture_output=True, text=True, timeout=60).stdout
    return sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()})


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for name in files():
        text = (ROOT / name).read_bytes()
        if b"\0" in text:
            continue
        for number, line in enumerate(text.decode("utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{name}:{number}: {line.strip()[:120]}")
    return found


def test_there_are_files() -> None:
    assert "pyproject.toml" in files()
    assert "drivers/modbus/__init__.py" in files()


def test_no_file_names_a_place_of_one_machine() -> None:
    assert lines_with(MACHINE) == []


def test_no_file_names_a_package_index() -> None:
    assert lines_with(INDEX) == []


def test_no_module_has_a_vague_name() -> None:
    modules = [name for name in files() if name.endswith(".py")]
    assert [name for name in modules if VAGUE & set(Path(name).stem.split("_"))] == []
    packages = {part for name in modules for part in Path(name).parts[:-1]}
    assert packages & VAGUE == set()


def test_no_module_is_long() -> None:
    lengths = {
        name: len((ROOT / name).read_text("utf-8").splitlines()) for name in files() if name.endswith(".py")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("cd /" + "work/main", True),
        ('"/' + 'root/.config"', True),
        ("see /" + "home/pi/agent.toml", True),
        ("benchmarks/" + "work/run", False),
        ("https://example.com/" + "home/page", False),
        ("ProtectHome=yes and /var/lib/edge-agent", False),
    ],
)
def test_the_search_for_places_can_tell(line: str, found: object) -> None:
    assert bool(MACHINE.search(line)) is found


def test_the_search_for_indexes_can_tell() -> None:
    assert INDEX.search("https://pypi" + ".org/simple")
    assert INDEX.search("--extra-" + "index" + "-url")
    assert not INDEX.search("https://mqtt.org/")


def test_no_shell_script_has_what_shellcheck_finds() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.fail("shellcheck is missing; run make test as root, or apt-get install shellcheck")
    shells = b"#!/bin/sh", b"#!/usr/bin/env bash"
    scripts = [name for name in files() if (ROOT / name).read_bytes().startswith(shells)]
    assert "install.sh" in scripts
    done = subprocess.run(
        [shellcheck, *scripts], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout
