"""The wheel has all that a gateway needs: nothing is read from a clone there."""

import zipfile
from pathlib import Path

from edge_agent import __version__
from tests.install.tree import ROOT, listed, wheel

SHARED = f"smartpark_edge_agent-{__version__}.data/data/share/edge-agent/"


def test_it_is_whole(tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel(ROOT, tmp_path)) as archive:
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
