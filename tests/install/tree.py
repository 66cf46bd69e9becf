"""Wheels of this tree as it is, or as another version: sound, or spoilt in one place."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def listed() -> list[str]:
    """Return the files of this tree: those git keeps, and new ones that it does not ignore."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(git, check=True, capture_output=True, text=True, timeout=60).stdout.split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def copy(folder: Path, version: str) -> Path:
    """Copy this tree, as another version of it."""
    for name in listed():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place)
    change(folder / "edge_agent/__init__.py", '__version__ = "', f'__version__ = "{version}"  # ')
    return folder


def change(file: Path, old: str, new: str) -> None:
    """Replace one piece of a file, which must be there once."""
    text = file.read_text("utf-8")
    assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
    file.write_text(text.replace(old, new), "utf-8")


def wheel(tree: Path, into: Path) -> Path:
    """Build a tree's wheel, with no network."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = into.glob("smartpark_edge_agent-*.whl")
    return made
