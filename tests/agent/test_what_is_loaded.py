"""What an agent holds in memory that few of them use: nothing of it before it is used."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_agent import service
from edge_agent.agent.agent import Agent
from edge_agent.control.protocol import RefusedError
from edge_agent.settings.model import Config

_UNIT = Path(__file__).parents[2] / "systemd" / "edge-agent.service"


@pytest.mark.parametrize(
    "unused",
    [
        "typer", "rich", "starlette", "uvicorn", "jinja2", "argon2", "bleak", "gpiod", "tomlkit", "gzip",
        "edge_agent.control.verbs", "edge_agent.reconfiguration.editor", "edge_agent.outbox.readonly",
        "edge_agent.bus.contact", "edge_agent.bus.rfc2217", "edge_agent.bus.tcp",
    ],
)  # fmt: skip
def test_it_is_loaded_where_it_is_used(loaded: set[str], unused: str) -> None:
    assert unused not in loaded


def test_the_service_is_told_where_the_time_zones_are(loaded: set[str]) -> None:
    """Python asks how it was built otherwise, and keeps all of the answer."""
    assert "zoneinfo" in loaded
    assert not {name for name in loaded if name.startswith("_sysconfigdata")}


def test_the_page_loads_what_it_uses() -> None:
    loaded = modules("import edge_agent.console.connections, edge_agent.console.site")
    assert {"uvicorn.protocols.http.h11_impl", "jinja2"} <= loaded
    assert not {"click", "multiprocessing", "markdown_it", "tomlkit"} & loaded


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Return the modules of an agent that was started as systemd does, and asked by nobody."""
    return modules("import edge_agent.service")


def modules(program: str) -> set[str]:
    """Return the modules that a program loads which is started as systemd does."""
    variables = dict(re.findall(r"^Environment=(\w+)=(\S+)$", _UNIT.read_text("utf-8"), re.MULTILINE))
    command = [sys.executable, "-c", f"import sys\n{program}\nprint(*sys.modules)"]
    said = subprocess.run(command, env=os.environ | variables, timeout=60, check=True, capture_output=True)
    return set(said.stdout.decode().split())


@pytest.mark.parametrize(
    ("verb", "args", "gone"),
    [
        ("status", {}, "edge_agent.control.verbs"),
        ("scan", {"port": "/dev/null", "addresses": [1], "by": "me"}, "edge_agent.onsite.plan"),
    ],
)
async def test_verbs_that_cannot_be_read_from_a_dying_card_end_no_agent(
    verb: str, args: dict[str, Any], gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(Config.model_validate({"config": 1, "gateway": {"site": "s", "id": "g"}}))
    monkeypatch.setitem(sys.modules, gone, None)
    with pytest.raises(RefusedError, match=f"{verb} cannot be loaded .*{gone}.*; restart the agent"):
        await service.carry_out(agent)(verb, args, _nobody)


async def test_half_a_file_of_the_verbs_ends_no_agent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    agent = Agent(Config.model_validate({"config": 1, "gateway": {"site": "s", "id": "g"}}))
    (tmp_path / "verbs.py").write_bytes(b"def carry(" + bytes(9))
    monkeypatch.delitem(sys.modules, "edge_agent.control.verbs", raising=False)
    monkeypatch.setattr(sys.modules["edge_agent.control"], "__path__", [str(tmp_path)])
    with pytest.raises(RefusedError, match="status cannot be loaded"):
        await service.carry_out(agent)("status", {}, _nobody)


async def _nobody(_progress: object) -> None: ...
