"""``edge-agent watch``: see what arrives from gateways, and judge it, as a backend does."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edge_agent.cli.options import duration_option
from edge_agent.cli.say import say, tell
from edge_agent.cli.verb_exit import stop, until_stopped
from edge_agent.text.language import tr

if TYPE_CHECKING:
    from rich.live import Live

    from edge_agent.consume.consumer import Scope
    from edge_agent.consume.subscriber import Login

_EVERY_S = 1.0
_GRACE_S = 3.0  # at the end, for what is between the broker and us
_CLOSING_S = 60.0  # at most, where gateways are asked for what is missing
_AROUND = 11  # lines of the screen besides the rows
_PASSWORD = "EDGE_AGENT_PASSWORD"  # noqa: S105 - the name of a variable


def watch(  # noqa: PLR0913 - one parameter for each option
    broker: Annotated[
        str, typer.Option("--broker", metavar="mqtt[s]://HOST:PORT", help=tr("The broker to connect to."))
    ],
    *,
    root: Annotated[str, typer.Option(help=tr("The root of the topics."))] = "park/v1",
    site: Annotated[str, typer.Option(help=tr("This site alone."))] = "+",
    gateway: Annotated[str, typer.Option(help=tr("This gateway alone."))] = "+",
    share: Annotated[
        str, typer.Option(metavar="GROUP", help=tr("Share the readings with a group; gaps are not judged."))
    ] = "",
    username: Annotated[
        str, typer.Option(envvar="EDGE_AGENT_USERNAME", help=tr("User name at the broker."))
    ] = "",
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", dir_okay=False, help=tr("Its first line; else ${variable}.", variable=_PASSWORD)
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help=tr("CA certificates for mqtts.")),
    ] = None,
    protocol: Annotated[Literal["5", "3.1.1"], typer.Option(help=tr("Version of MQTT."))] = "5",
    from_start: Annotated[
        bool,
        typer.Option(
            "--from-start", help=tr("Look for gaps from the first reading of each device, not from now.")
        ),
    ] = False,
    replays: Annotated[
        bool, typer.Option("--replays/--no-replays", help=tr("Ask gateways for what is missing."))
    ] = True,
    for_: Annotated[
        str, typer.Option("--for", metavar="DURATION", help=tr('End by itself, such as "60s"; else Ctrl-C.'))
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help=tr("Print only a JSON object, at the end."))
    ] = False,
) -> None:
    """Subscribe as a backend does: show rate, latency, duplicates, gaps, losses, events, and what is offline.

    A gap is what the broker has taken and did not hand on. Gateways that take commands are asked for it once
    more; with --no-replays, and in a group, nothing is sent. Ends with 1 if a gap stays open, or when no
    reading came; with 2 when the broker cannot be used.

    Example: edge-agent watch --broker mqtt://127.0.0.1 --for 60s --json
    """
    seconds = duration_option("--for", for_, as_json=as_json)
    try:
        login = _login(broker, username, password_file, ca, protocol)
    except ValueError as error:
        stop(str(error), as_json=as_json)
    from edge_agent.consume.consumer import Scope  # noqa: PLC0415 - `edge-agent --help` need not wait for it

    watching = _Watching(login, Scope(root, site, gateway, share), asks=replays, from_start=from_start)
    last = watching.until(seconds, as_json=as_json)
    raise typer.Exit(1 if last["missing"] or last["unjudged"] or not last["readings"] else 0)


class _Watching:
    """What is heard on paho's thread, and shown on this one."""

    def __init__(self, login: "Login", scope: "Scope", *, asks: bool, from_start: bool) -> None:
        from edge_agent.consume.consumer import Consumer  # noqa: PLC0415 - as above

        self._server, self._judged, self._news = login.server, not scope.share, ""
        self._consumer = Consumer(login, scope, asks=asks, from_start=from_start, tell=self._tell)

    def until(self, seconds: float | None, *, as_json: bool) -> dict[str, Any]:
        """Watch for so long, or until Ctrl-C; print the report, and return it."""
        from edge_agent.consume import report  # noqa: PLC0415 - as above
        from edge_agent.consume.subscriber import SubscriberError  # noqa: PLC0415 - as above

        try:
            self._consumer.open()
        except SubscriberError as error:
            stop(str(error), as_json=as_json)
        try:
            if until_stopped(self._show(silent=as_json), seconds):
                until_stopped(self._closing(), _CLOSING_S)
            last = self._told()
        finally:
            self._consumer.close()
        if as_json:
            tell(last)
        else:
            for line in (report.line(last), *report.gap_lines(last)):
                say(line)
        return last

    def _tell(self, text: str) -> None:
        self._news = text
        say(f"{self._server}: {text}", error=True)

    def _told(self) -> dict[str, Any]:
        from edge_agent.consume import report  # noqa: PLC0415 - as above
        from edge_agent.consume.consumer import now_ms  # noqa: PLC0415 - as above

        with self._consumer.following() as (follower, mending):
            return report.summary(follower, mending, now_ms(), judged=self._judged)

    async def _show(self, *, silent: bool) -> None:
        from edge_agent.consume import report  # noqa: PLC0415 - as above
        from edge_agent.consume.consumer import now_ms  # noqa: PLC0415 - as above

        with _screen(shown=not silent) as live:
            while True:
                await asyncio.sleep(_EVERY_S)
                self._consumer.ask()
                if live is not None:
                    rows = live.console.height - _AROUND
                    with self._consumer.following() as (follower, mending):
                        made = report.screen(
                            follower, mending, now_ms(), self._news, rows, judged=self._judged
                        )
                    live.update(made, refresh=True)
                elif not silent:
                    say(report.line(self._told()))

    async def _closing(self) -> None:
        """Wait, while a gap is open, for what is between the broker and us, and for what is sent again."""
        loop = asyncio.get_running_loop()
        grace = loop.time() + _GRACE_S
        while self._told()["missing"]:
            with self._consumer.following() as (_, mending):
                hopeful = mending is not None and mending.hopeful
            if loop.time() > grace and not hopeful:
                return
            await asyncio.sleep(_EVERY_S / 10)
            self._consumer.ask()


def _login(
    broker: str, username: str, file: Path | None, ca: Path | None, protocol: Literal["5", "3.1.1"]
) -> "Login":
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - as above

    from edge_agent.consume.subscriber import Login  # noqa: PLC0415 - as above
    from edge_agent.settings.field_types import OneServer, Server  # noqa: PLC0415 - as above

    try:
        server: Server = TypeAdapter(OneServer).validate_python(broker)
    except ValidationError as error:
        why = str(error.errors()[0]["ctx"]["error"]).replace("username = and password =", "--username")
        raise ValueError(f"--broker {why}") from None
    password = os.environ.get(_PASSWORD)
    if file is not None:
        try:
            password = file.read_text("utf-8-sig").partition("\n")[0].removesuffix("\r")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise ValueError(f"--password-file {file} cannot be read ({reason})") from None
    if password is not None and not username:
        raise ValueError("a password needs a user: give --username")
    return Login(server, username or None, password, ca, protocol)


@contextmanager
def _screen(*, shown: bool) -> Iterator["Live | None"]:
    """A live screen on a terminal; None elsewhere."""
    if not shown or not sys.stdout.isatty():
        yield None
        return
    from rich.live import Live  # noqa: PLC0415 - as above

    with Live(auto_refresh=False) as live:
        yield live
