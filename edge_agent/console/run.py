"""The console beside the agent: it comes up when it can, and when it falls it comes up again."""

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.backoff import Backoff
from edge_agent.control.server import Carry, Tell
from edge_agent.settings.console import Console

log = logging.getLogger(__name__)


async def run(settings: Console, outbox: Path, carry: Carry) -> None:
    """Serve the console for ever, if it is wanted. Nothing that goes wrong in it leaves this task."""
    if not settings.listen:
        return
    try:
        # Only here: without a console they are not in memory.
        from edge_agent.console import overview, server, site, users  # noqa: PLC0415
    except ModuleNotFoundError as error:
        log.error(  # noqa: TRY400 - the name of what is missing says all
            "console: %s is missing; pip install 'smartpark-edge-agent[console]', or remove console.listen",
            error.name,
        )
        return

    async def ask(verb: str, args: Mapping[str, Any], tell: Tell = overview.silent) -> Mapping[str, Any]:
        return await carry(verb, args, tell)

    backoff = Backoff()
    while True:
        try:
            app = site.make(settings, users.place(outbox), ask, time.monotonic)
            await server.serve(settings, app)
        except Exception:
            log.exception("console: it fell, and comes up again; the readings are not touched by it")
            await asyncio.sleep(backoff.next())
