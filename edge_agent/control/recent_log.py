"""The verb that tells the last warnings and errors of the log, without secrets."""

import asyncio
from collections.abc import Mapping
from typing import Any

from edge_agent.agent.agent import Agent
from edge_agent.control.protocol import RefusedError
from edge_agent.control.server import Tell
from edge_agent.diagnostics.recent_log import Line, kept


async def tell_log(agent: Agent, _args: object, _tell: Tell) -> Mapping[str, Any]:
    """Tell them, the newest first: ``ts`` in ms by the machine's clock, ``level``, ``name`` and ``text``."""
    log = kept()
    if log is None or agent.config_editor is None:
        raise RefusedError(
            "the last lines of the log are kept for the operators' page alone, which is off; "
            "see `journalctl -u edge-agent -p warning`"
        )
    file, lines = agent.config_editor.agent_toml, list(log.lines)

    def without_secrets() -> list[dict[str, Any]]:
        from edge_agent.diagnostics.scrub import Scrub  # noqa: PLC0415 - hardly anybody ever asks
        from edge_agent.diagnostics.secrets import secrets_of  # noqa: PLC0415 - the same

        scrub = Scrub(secrets_of(file))
        return [Line._asdict(line) | {"text": scrub.text(line.text)} for line in reversed(lines)]

    timezone = agent.config.gateway.timezone
    return {"lines": await asyncio.to_thread(without_secrets), "timezone": timezone}
