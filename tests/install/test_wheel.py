"""The wheel has all that a gateway needs: nothing is read from a clone there."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge_agent import __version__
from tests.install.tree import ROOT, listed, wheel

SHARED = f"smartpark_edge_agent-{__version__}.data/data/share/edge-agent/"


_PAGES = """
import sys
from pathlib import Path
import edge_agent
from edge_agent import registry
from edge_agent.console import page, site
assert edge_agent.__file__.startswith(sys.argv[1]), edge_agent.__file__
assert Path(site.__file__).with_name("static").joinpath("live.js").is_file()
said = page.Pages().render("login.html", "zh_CN", session=None, path="/login", wrong="", code=False)
assert "密码" in said, said
assert registry.resource(registry.load("modbus"), "README.md").startswith("#")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, once."""
    return wheel(ROOT, tmp_path_factory.mktemp("wheel"))


def test_the_operators_page_works_from_it(made: Path, tmp_path: Path) -> None:
    """Its templates, scripts and translations, and the drivers' pages; with the libraries that are here."""
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path)
    begin = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{_PAGES}"
    done = subprocess.run(
        (sys.executable, "-P", "-c", begin, str(tmp_path)),
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_it_is_whole(made: Path) -> None:
    with zipfile.ZipFile(made) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    ours = {name for name in listed() if name.startswith(("edge_agent/", "drivers/"))}
    packed = {name for name in inside if not name.startswith("smartpark_edge_agent-")}
    assert ours - packed == set()
    assert [name for name in packed - ours if not name.startswith(("edge_agent/", "drivers/"))] == []
    for part in ("edge_agent/py.typed", "edge_agent/outbox/schema/0001.sql"):
        assert part in ours
    shared = {name.removeprefix(SHARED): text for name, text in inside.items() if name.startswith(SHARED)}
    assert shared.pop("agent.toml") == (ROOT / "config/agent.toml").read_bytes()
    for name in listed():
        if name.startswith("docs/"):
            assert shared.pop(name.replace("docs/", "doc/", 1)) == (ROOT / name).read_bytes()
    assert shared == {f"systemd/{path.name}": path.read_bytes() for path in (ROOT / "systemd").iterdir()}
