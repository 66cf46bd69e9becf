"""Checks whether an agent runs, and reports what it says is wrong."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.bus.remedy import holders
from edge_agent.control.client import NoAgentError, NotAllowedError, ask
from edge_agent.control.protocol import RefusedError
from edge_agent.doctor.finding import Finding, Group
from edge_agent.settings.model import Config
from edge_agent.status import Status, from_json, wrong

_GROUP = Group("agent")
_NONE: frozenset[str] = frozenset()
_OTHER = "stop it, or look at it with its own configuration (--config)"


@dataclass(frozen=True, slots=True)
class Agent:
    """Whether an agent runs, the ports that it has open, and the findings."""

    runs: bool
    ports: frozenset[str]
    findings: tuple[Finding, ...]


def agent(config: Config) -> Agent:
    """Ask the agent that runs here, if there is one."""
    try:
        status = from_json(asyncio.run(ask("status")))
    except NotAllowedError as error:
        return Agent(runs=True, ports=_NONE, findings=(_GROUP.of_error("WARN", "status", error),))
    except (NoAgentError, RefusedError, TypeError, KeyError, ValueError) as error:
        if process := _holder(config):
            finding = _GROUP.of_error("WARN", process, f"has the outbox, and cannot be asked: {error}")
            return Agent(runs=True, ports=_NONE, findings=(finding,))
        remedy = "`systemctl enable --now edge-agent`, when all else is OK"
        finding = _GROUP.warn("status", "no agent runs here", remedy)
        return Agent(runs=False, ports=_NONE, findings=(finding,))
    held = frozenset(bus.port for bus in status.buses if not bus.problem)
    return Agent(runs=True, ports=held, findings=tuple(judged(config, status)))


def judged(config: Config, status: Status) -> Iterator[Finding]:
    """Yield what a running agent says is wrong."""
    named = f"{status.site}/{status.gateway}"
    if (status.site, status.gateway) != (config.gateway.site, config.gateway.id):
        yield _GROUP.warn("status", f"the agent that runs is {named}, and not this configuration's", _OTHER)
    problems = list(wrong(status))
    for one in problems:
        says, _, remedy = one.partition("; ")
        yield _GROUP.warn("status", says, remedy or "`edge-agent status` shows more")
    if not problems:
        yield _GROUP.ok("status", f"{named} runs, and nothing is wrong with it")


def _holder(config: Config) -> str:
    """Return the process that has the outbox open if it is an agent, else ""."""
    found = holders(str(config.outbox.path))
    return next((name for name in found if name.startswith("edge-agent")), "")
