"""Ask the running agent, from another process of this machine."""

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from edge_agent.control.protocol import GROUP, LONGEST_ANSWER, VERSION, RefusedError, socket_paths

_CONNECT_S = 5.0


class NoAgentError(Exception):
    """No agent can be asked. The message says why, and what to do."""


class NotAllowedError(NoAgentError):
    """There may be one, but this user may not ask it."""


async def ask(
    verb: str,
    args: Mapping[str, Any] | None = None,
    *,
    at: Path | None = None,
    within: float = 10.0,
    tell: Callable[[Mapping[str, Any]], None] = lambda _progress: None,
) -> dict[str, Any]:
    """Have the agent carry out a verb, and return what it answers.

    ``at`` is its socket, where that is not one of the usual places. The agent may be silent for ``within``
    seconds; ``tell`` hears how far it has come. Cancelling this ends the verb.

    Raises:
        NoAgentError: none runs, this user may not ask it, or it went away.
        RefusedError: it will not do that.
    """
    async with _connected([at] if at else socket_paths()) as (reader, writer):
        request = {"v": VERSION, "id": "1", "verb": verb, "args": dict(args or {})}
        writer.write(orjson.dumps(request, option=orjson.OPT_APPEND_NEWLINE))
        while True:
            answer = await _heard(reader, within)
            if "progress" in answer:
                tell(answer["progress"])
            elif "ok" in answer:
                return dict(answer["ok"])
            else:
                raise RefusedError(str(answer.get("error")))


@asynccontextmanager
async def _connected(
    tried: list[Path],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await _connect(tried)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _connect(tried: list[Path]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for place in tried:
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await asyncio.open_unix_connection(place, limit=LONGEST_ANSWER)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            continue
        except PermissionError:
            raise NotAllowedError(
                f"{place}: {_user()} may not ask the agent; join its group with "
                f"`sudo usermod -aG {GROUP} {_user()}` and log in again, or use sudo"
            ) from None
        except TimeoutError:
            raise NoAgentError(f"{place}: the agent takes no connection; see its log") from None
        except OSError as error:
            raise NoAgentError(f"{place}: {error.strerror or error}; give its place with --socket") from None
    raise NoAgentError(
        f"no agent runs here (none answers at {' or '.join(map(str, tried))}); "
        "start it with `systemctl start edge-agent`, or name its socket with --socket"
    )


async def _heard(reader: asyncio.StreamReader, within: float) -> dict[str, Any]:
    try:
        async with asyncio.timeout(within):
            line = await reader.readline()
        if line.endswith(b"\n"):
            return dict(orjson.loads(line))
    except TimeoutError:
        raise NoAgentError(f"the agent did not answer within {within:g} s; see its log") from None
    except (OSError, ValueError):  # it is gone, or what answers is no agent
        pass
    raise NoAgentError("the agent went away before it had answered; see its log")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"
