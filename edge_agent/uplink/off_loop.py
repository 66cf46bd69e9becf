"""Work that blocks, such as name service and a TLS handshake, on a thread of its own."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

R = TypeVar("R")


async def off_loop(work: Callable[[], R]) -> R:
    """Run what may block in a thread that does not hold up the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[R] = loop.create_future()

    def tell(outcome: Callable[[Any], None], value: Any) -> None:
        if not done.cancelled():
            outcome(value)

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - handed to the one who waits
            told: tuple[Callable[[Any], None], Any] = (done.set_exception, error)
        else:
            told = (done.set_result, result)
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, *told)

    threading.Thread(target=run, name="mqtt-connect", daemon=True).start()
    return await done
