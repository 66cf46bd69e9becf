"""``edge-agent demo``: a simulated park, a broker and the agent between them, in one command."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.settings.units import duration


def _seconds(text: str) -> float | None:
    if not text:
        return None
    try:
        return duration(text.strip())
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None


def demo(
    for_: Annotated[
        str, typer.Option("--for", metavar="DURATION", help='End by itself, such as "30s"; else Ctrl-C.')
    ] = "",
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object per acknowledged reading, last a summary.")
    ] = False,
    broker: Annotated[
        str, typer.Option("--broker", metavar="mqtt://[USER:PASSWORD@]HOST:PORT", help="Use another broker.")
    ] = "",
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", readable=False, help="Keep the files there.")
    ] = None,
    outage: Annotated[
        str, typer.Option("--outage", metavar="DURATION", help="Take the broker away in the middle.")
    ] = "",
) -> None:
    """Show the whole journey: simulated sensors, the agent, a broker. Nothing to install or configure.

    Example: edge-agent demo --for 40s --outage 10s
    """
    # they load the whole agent, which `edge-agent --help` need not wait for
    from edge_agent.demo.broken import DemoError  # noqa: PLC0415
    from edge_agent.demo.run import Options, run  # noqa: PLC0415

    options = Options(_seconds(for_), as_json, broker, directory, _seconds(outage))
    try:
        asyncio.run(run(options))
    except DemoError as error:
        typer.echo(f"edge-agent demo: {error}", err=True)
        raise typer.Exit(1) from None
