"""Borrow a port from the running agent, which closes it and opens it again afterwards.

So nothing passes between two programs but who has the port. Frames over the socket would need a bus there a
second time, with its speeds, directions and times; and a scan opens the port anew for each format.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge_agent.bus.serial import BusError
from edge_agent.control.client import NoAgentError, ask
from edge_agent.control.protocol import LEASE_S, RefusedError

_BEFORE_S = 60.0  # until the exchange that is under way has ended
_EARLIER_S = 5.0  # than the agent takes it back


@asynccontextmanager
async def borrowed(port: str, by: str) -> AsyncIterator[str]:
    """Borrow a port within the context; yields its bus, "" if no agent has the port, or none runs.

    Raises:
        BusError: another program has it from the agent, or the time is over.
    """
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    holding = asyncio.create_task(_hold(_named(port), by, answer), name="lease")
    try:
        bus = await answer
        async with asyncio.timeout(LEASE_S - _EARLIER_S if bus else None) as time:
            yield bus
    except TimeoutError:
        if not time.expired():
            raise
        raise BusError(
            f"{port}: the agent lends a bus for {LEASE_S / 60:.0f} min at most, which are over; "
            "begin again for the rest"
        ) from None
    finally:
        holding.cancel()
        await asyncio.wait((holding,))


async def _hold(port: str, by: str, answer: asyncio.Future[str]) -> None:
    def lent(told: Mapping[str, Any]) -> None:
        answer.set_result(str(told["bus"]))

    try:
        await ask("lend", {"port": port, "by": by}, within=LEASE_S + _BEFORE_S, tell=lent)
    except NoAgentError:  # or it goes meanwhile, and has no port any more
        pass
    except RefusedError as error:
        if not answer.done():
            answer.set_exception(BusError(f"{port}: {error}"))
    if not answer.done():
        answer.set_result("")


def _named(port: str) -> str:
    """Return the port's name as another process in another folder understands it."""
    return port if "://" in port else str(Path(port).absolute())
