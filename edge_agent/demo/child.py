"""Start the demo's other processes so that none of them outlives it, however it ends.

The kernel kills a child when its parent dies (prctl(2), PR_SET_PDEATHSIG). The child must ask for
this itself, so it starts as this module and then becomes the program: nothing runs between fork
and exec in the parent, and the programs need not know. Ctrl-C reaches the demo alone, which then
stops its children in the right order.
"""

import asyncio
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_STOP_WITHIN = 5.0


def dying(*command: str) -> tuple[str, ...]:
    """Return the command that becomes this one, and dies with this process."""
    return (sys.executable, "-P", "-m", __name__, str(os.getpid()), *command)


async def start(
    *command: str, stdout: int = asyncio.subprocess.DEVNULL, stderr: int | None = None
) -> asyncio.subprocess.Process:
    """Start a program that dies with this process. Without ``stderr`` it shares ours.

    Call it on the main thread: what the kernel watches is the thread.
    """
    return await asyncio.create_subprocess_exec(
        *dying(*command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


async def stop(process: asyncio.subprocess.Process) -> None:
    """End a child: by SIGTERM, and after 5 s by SIGKILL."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_WITHIN):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _become(parent: int, command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died before the kernel knew that we care
        return
    os.execvp(command[0], command)  # noqa: S606 - a program of ours, without a shell


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
