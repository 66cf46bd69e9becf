"""A wait that has a limit."""

import asyncio
from collections.abc import Callable
from contextlib import suppress


async def within(seconds: float, holds: Callable[[], bool], changed: asyncio.Event) -> bool:
    """Wait until something holds, looking each time it may have changed; say whether it came to hold."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not holds():
                changed.clear()
                await changed.wait()
            return True
    return False
