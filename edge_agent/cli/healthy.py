"""``edge-agent healthy``: is the agent that runs since an upgrade to be kept? install.sh asks it."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.options import duration_option
from edge_agent.cli.say import say
from edge_agent.cli.status import Socket
from edge_agent.cli.verb_exit import INTERRUPTED, stop, until_stopped
from edge_agent.text.language import tr
from edge_agent.text.translation import translated

if TYPE_CHECKING:
    from edge_agent.status import Status

_EVERY_S = 1.0


def healthy(
    *,
    before: Annotated[
        Path | None, typer.Option(help=tr("What `edge-agent status --json` said before the upgrade."))
    ] = None,
    within: Annotated[str, typer.Option(metavar="DURATION", help=tr("How long to wait for it."))] = "3m",
    steady: Annotated[
        str, typer.Option(metavar="DURATION", help=tr("How long it must stay healthy without interruption."))
    ] = "10s",
    socket: Socket = None,
) -> None:
    """Wait until the agent is healthy, as install.sh does after an upgrade.

    It is when the outbox is open, as many devices are online as before or a reading was kept, and the brokers
    that can be reached have acknowledged something or are owed nothing.

    Ends with 0 when it is, 1 when it is not within the time, 2 when that cannot be judged.

    Example: edge-agent healthy --before status.json --within 3m
    """
    limit, so_long = duration_option("--within", within), duration_option("--steady", steady)
    looks = _Looks(_read(before), socket, so_long or 0)
    if not until_stopped(looks.go_on(), limit):
        raise typer.Exit(INTERRUPTED)
    if looks.unwell:
        why = translated(looks.unwell)
        say(tr("not healthy after {within}: {unwell}", within=within, unwell=why), error=True)
        raise typer.Exit(1)
    say(tr("healthy"))


class _Looks:
    """What was seen of the agent so far. ``unwell`` is "" once it was healthy for ``steady`` seconds."""

    def __init__(self, before: "Status | None", socket: Path | None, steady: float) -> None:
        self._before, self._socket, self._steady = before, socket, steady
        self._first: Status | None = None
        self._well_from: float | None = None
        self.unwell = tr("it was not asked yet")

    async def go_on(self) -> None:
        """Look until it is healthy."""
        while self.unwell:
            self.unwell = await self._look()
            if self.unwell:
                await asyncio.sleep(_EVERY_S)

    async def _look(self) -> str:
        from edge_agent.control.client import NoAgentError, ask  # noqa: PLC0415 - not for --help
        from edge_agent.control.protocol import RefusedError  # noqa: PLC0415 - as above
        from edge_agent.doctor.upgrade import unwell  # noqa: PLC0415 - as above

        try:
            now = _status(await ask("status", at=self._socket))
        except (NoAgentError, RefusedError, ValueError) as error:
            self._first = self._well_from = None
            return str(error)
        if self._first is None or now.uptime_s < self._first.uptime_s:  # it was started again meanwhile
            self._first, self._well_from = now, None
        if why := await asyncio.to_thread(unwell, self._before, self._first, now):
            self._well_from = None
            return why
        if self._well_from is None:
            self._well_from = now.uptime_s
        well_s = now.uptime_s - self._well_from
        return "" if well_s >= self._steady else tr("it is healthy for {well_s:.0f} s only", well_s=well_s)


def _read(before: Path | None) -> "Status | None":
    """Read how the version before did; a file that tells nothing, or of an error, is as none."""
    if before is None:
        return None
    try:
        text = before.read_text("utf-8")
        answer = json.loads(text) if text.strip() else {"error": ""}
        return None if "error" in answer else _status(answer)
    except (OSError, ValueError) as error:
        stop(f"{before} is not what `edge-agent status --json` prints: {error}")


def _status(answer: Mapping[str, Any]) -> "Status":
    from edge_agent.status import from_json  # noqa: PLC0415 - as above

    try:
        return from_json(answer)
    except (KeyError, TypeError) as error:
        raise ValueError(f"it tells no status: {error!r}") from None
