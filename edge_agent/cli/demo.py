"""``edge-agent demo``: a simulated park, a broker and the agent between them, in one command."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import duration_option
from edge_agent.cli.verb_exit import stop
from edge_agent.text.language import tr


def demo(
    for_: Annotated[
        str, typer.Option("--for", metavar="DURATION", help=tr('End by itself, such as "30s"; else Ctrl-C.'))
    ] = "",
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help=tr("Print a JSON object per acknowledged reading, last a summary."))
    ] = False,
    broker: Annotated[
        str,
        typer.Option("--broker", metavar="mqtt://[USER:PASSWORD@]HOST:PORT", help=tr("Use another broker.")),
    ] = "",
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", readable=False, help=tr("Folder for its files; they are kept.")),
    ] = None,
    outage: Annotated[
        str,
        typer.Option("--outage", metavar="DURATION", help=tr("Stop the broker for this long in the middle.")),
    ] = "",
) -> None:
    """Run a simulated park: sensors, the agent and a broker. Nothing to install or configure.

    Example: edge-agent demo --for 40s --outage 10s
    """
    # they load the whole agent, which `edge-agent --help` need not wait for
    from edge_agent.demo.broken import DemoError  # noqa: PLC0415
    from edge_agent.demo.run import Options, run  # noqa: PLC0415

    options = Options(
        duration_option("--for", for_, as_json=as_json),
        as_json,
        broker,
        directory,
        duration_option("--outage", outage, as_json=as_json),
    )
    try:
        asyncio.run(run(options))
    except DemoError as error:
        stop(f"edge-agent demo: {error}", as_json=as_json)
