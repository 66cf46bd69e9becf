"""Work that blocks, such as name service and a TLS handshake, on a thread of its own."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

R = TypeVar("R")


async def off_loop(work: Callable[[], R]) -> R:
    """Run what may block in a thread that does not hold up the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[R] = loop.create_future()

    def tell(outcome: Callable[[Any], None], value: Any) -> None:
        if not done.cancelled():
            outcome(value)

    def post(outcome: Callable[[Any], None], value: Any) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(tell, outcome, value)

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - handed to the one who waits
            post(done.set_exception, error)
        else:
            post(done.set_result, result)

    threading.Thread(target=run, name="mqtt-connect", daemon=True).start()
    return await done
