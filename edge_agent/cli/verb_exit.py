"""How a verb ends: by itself, after a time, by Ctrl-C with what there is so far, or with what is wrong."""

import asyncio
import errno
import logging
import os
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NoReturn

import typer

from edge_agent.cli.say import say, tell
from edge_agent.text import formatting
from edge_agent.text.translation import translated

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def until_stopped(work: Coroutine[Any, Any, None], seconds: float | None = None) -> bool:
    """Run to the end, for so many seconds at most; return False when SIGINT or SIGTERM came first."""

    async def run() -> bool:
        task = asyncio.create_task(work, name="verb")
        stopped = asyncio.Event()

        def end() -> None:
            stopped.set()
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, end)
        ended, _ = await asyncio.wait((task,), timeout=seconds)
        if not ended:
            task.cancel()
            await asyncio.wait((task,))
        try:
            if not task.cancelled():
                task.result()
        except BrokenPipeError:  # nobody reads what is printed any more, which is an end like any other
            formatting.nobody_reads()
        return not stopped.is_set()

    logging.getLogger("edge_agent").addHandler(logging.NullHandler())  # the verb says what is wrong itself
    return asyncio.run(run())


def stop(message: str, *, as_json: bool = False, code: int = 2) -> NoReturn:
    """Say why a verb cannot be carried out, and what to do instead; end with the code.

    It is on stderr, in the language of the environment, and with ``as_json`` also on stdout, in English, as
    ``{"error": ..}``.
    """
    say(translated(message), error=True, filled=True)
    if as_json:
        tell({"error": message})
    raise typer.Exit(code)


def unprinted(error: Exception) -> int:
    """Say that stdout does not take what a verb prints; return the exit code. Any other error is raised.

    A reader that has gone, as in ``edge-agent drivers | head``, is no error, and ends before this.
    """
    cause = error
    while isinstance(cause, ExceptionGroup) and len(cause.exceptions) == 1:
        cause = cause.exceptions[0]
    if not isinstance(cause, OSError) or cause.filename is not None or cause.errno not in _FULL:
        raise error
    formatting.nobody_reads()
    with suppress(OSError):  # it may be full, too
        say(
            translated(f"what is printed cannot be written ({cause.strerror}); print it elsewhere"),
            error=True,
        )
    return os.EX_IOERR
