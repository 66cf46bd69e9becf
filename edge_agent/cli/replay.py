"""``edge-agent replay``: play a capture on a pseudo-terminal."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import duration_option
from edge_agent.cli.say import say
from edge_agent.cli.verb_exit import stop, until_stopped
from edge_agent.text.language import tr


def replay(
    file: Annotated[Path, typer.Argument(help=tr("A capture that `edge-agent record` wrote."))],
    *,
    link: Annotated[
        Path | None, typer.Option(metavar="PATH", help=tr("Give the port this name, too."))
    ] = None,
    speed_up: Annotated[
        float, typer.Option(min=0.01, max=10_000, help=tr("Play faster: divide all times by this."))
    ] = 1.0,
    for_: Annotated[
        str, typer.Option("--for", metavar="DURATION", help=tr("End by itself; else Ctrl-C."))
    ] = "",
) -> None:
    """Play a capture on a pseudo-terminal, for a configuration whose bus has that port.

    Where something was asked in it, requests are answered as they were then; else all is said once, at
    the pace of then, when somebody opens the port. The first line on stdout is the port.

    Example: edge-agent replay meter.jsonl --link /tmp/meter
    """
    from edge_agent.onsite.capture import CaptureError, load  # noqa: PLC0415 - not for --help
    from edge_agent.onsite.replay import Replay  # noqa: PLC0415 - as above

    seconds = duration_option("--for", for_)
    try:
        head, pieces = load(file)
    except CaptureError as error:
        stop(str(error))
    playing = Replay(pieces, speed_up=speed_up, link=link)

    async def play() -> None:
        with playing.opened() as port:
            say(port)
            settings = (
                tr(" with settings {settings}", settings=json.dumps(head.settings)) if head.settings else ""
            )
            device = (
                tr("driver {driver}{settings}, ", driver=head.driver, settings=settings)
                if head.driver
                else ""
            )
            say(tr("{device}serial {serial}; Ctrl-C ends it", device=device, serial=head.serial), error=True)
            await playing.run(lambda text: say(text, error=True))

    try:
        until_stopped(play(), seconds)
    except OSError as error:
        stop(f"{link or 'a port'} cannot be made ({error.strerror}); give another --link")
