"""The console falls in each way there is, and the agent reads on."""

import asyncio
from pathlib import Path

from tests.console.rig import PASSWORD, console
from tests.console.test_console_guests import air

_FALLS = """
import asyncio
import edge_agent.console.server as server

ways, serve = ["bug", "callback", "cancelled", "end"], server.serve

async def falls(settings, app):
    match ways.pop(0) if ways else None:
        case "bug":
            raise RuntimeError("a bug of the console")
        case "callback":
            asyncio.get_running_loop().call_soon(lambda: 1 / 0)
            raise RuntimeError("and one in a callback, which asyncio tells the agent of")
        case "cancelled":
            asyncio.current_task().cancel()
            await serve(settings, app)
        case "end":
            return
    await serve(settings, app)

server.serve = falls
from edge_agent.backoff import Backoff
Backoff.next = lambda self: 0.05
"""


async def test_a_console_that_falls_comes_back_and_the_agent_reads_on(tmp_path: Path) -> None:
    """The agent ends with 0, as one does that was not touched: its rig looks at that."""
    async with console(tmp_path, before=_FALLS) as browser:
        await browser.log_in(PASSWORD)
        async with asyncio.timeout(60):
            while (told := await air(browser))["seq"] < 10:  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0.1)
        assert told["availability"] == "online"
