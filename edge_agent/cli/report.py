"""``edge-agent report``: the commissioning report for the customer's file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.options import CONFIG, ConfigFile, loaded
from edge_agent.cli.say import say
from edge_agent.cli.status import Socket
from edge_agent.cli.verb_exit import INTERRUPTED, stop, until_stopped
from edge_agent.text.language import tr

if TYPE_CHECKING:
    from edge_agent.status import Status


def report(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=tr("The file; one that ends in .html is a page."))
    ] = None,
    by: Annotated[str, typer.Option("--by", help=tr("Who installed it."))] = "",
    config: ConfigFile = CONFIG,
    socket: Socket = None,
) -> None:
    """Write a commissioning report: devices, their values, brokers, and open points.

    The agent must run. Without --out it is shown.

    Example: edge-agent report --out gw-01.html --by "Li Wei"
    """
    # what only this verb needs
    from edge_agent.clock import SystemClock  # noqa: PLC0415
    from edge_agent.onsite import commissioning_report  # noqa: PLC0415

    found = loaded(config)
    clock = SystemClock(found.clock.trust)
    now = clock.wall_ms() if clock.trusted() else None
    title = tr("Commissioning report {site} / {gateway}", site=found.gateway.site, gateway=found.gateway.id)
    sections = list(commissioning_report.parts(found, _asked(socket), now, by))
    if out is None:
        say(commissioning_report.as_text(title, sections), end="")
        return
    write = commissioning_report.as_html if out.suffix in {".html", ".htm"} else commissioning_report.as_text
    try:
        out.write_text(write(title, sections), "utf-8")
    except OSError as error:
        stop(f"{out}: {error.strerror}")
    say(tr("{file} is written", file=out))


def _asked(socket: Path | None) -> "Status":
    from edge_agent.control.client import NoAgentError, ask  # noqa: PLC0415 - only this verb needs it
    from edge_agent.control.protocol import RefusedError  # noqa: PLC0415 - as above
    from edge_agent.status import from_json  # noqa: PLC0415 - as above

    answers: list[dict[str, Any]] = []

    async def work() -> None:
        answers.append(await ask("status", at=socket))

    try:
        until_stopped(work())
    except (NoAgentError, RefusedError) as error:
        stop(str(error))
    if not answers:
        raise typer.Exit(INTERRUPTED)
    return from_json(answers[0])
