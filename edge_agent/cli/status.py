"""``edge-agent status``: how the running agent does, and what a person should look at."""

import asyncio
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli.say import tell
from edge_agent.cli.verb_exit import INTERRUPTED, stop, until_stopped
from edge_agent.text.language import tr

Socket = Annotated[
    Path | None,
    typer.Option("--socket", readable=False, help=tr("Socket of the agent; default: the usual places.")),
]

_EVERY_S = 2.0
_WIDTH = 200  # where it goes to a file or a program


def status(
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help=tr("Refresh every 2 s; Ctrl-C ends it."))
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=tr("For programs; one line."))] = False,
    socket: Socket = None,
) -> None:
    """Show the state of the running agent: devices, uplinks, buses, outbox, clock, and what is wrong.

    Ends with 0 when all is well, 1 when something is wrong, 2 when no agent can be asked.

    Example: edge-agent status --watch
    """
    from edge_agent.control.client import NoAgentError  # noqa: PLC0415 - not for --help
    from edge_agent.control.protocol import RefusedError  # noqa: PLC0415 - as above

    looks: list[dict[str, Any]] = []
    try:
        ended = until_stopped(_show(looks, socket, watch=watch, as_json=as_json))
    except (NoAgentError, RefusedError) as error:
        stop(str(error), as_json=as_json)
    if not looks:
        raise typer.Exit(1 if ended else INTERRUPTED)
    raise typer.Exit(1 if looks[-1]["wrong"] else 0)


async def _show(looks: list[dict[str, Any]], socket: Path | None, *, watch: bool, as_json: bool) -> None:
    """Ask, and show what is answered, once or for ever; the last answer is in ``looks``."""
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.live import Live  # noqa: PLC0415 - as above

    from edge_agent.cli.status_page import page  # noqa: PLC0415 - as above
    from edge_agent.control.client import ask  # noqa: PLC0415 - as above
    from edge_agent.status import from_json  # noqa: PLC0415 - as above

    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    shown_anew = watch and not as_json and sys.stdout.isatty()
    live = Live(console=console, auto_refresh=False) if shown_anew else None
    with live or nullcontext():
        while True:
            looks[:] = [await ask("status", at=socket)]
            if as_json:
                tell(looks[0])
            elif live is not None:
                live.update(page(from_json(looks[0]), cut_below=True), refresh=True)
            else:
                console.print(page(from_json(looks[0])))
            if not watch:
                return
            await asyncio.sleep(_EVERY_S)
