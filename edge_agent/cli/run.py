"""``edge-agent run``: run the agent in the foreground."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import CONFIG, ConfigFile
from edge_agent.text.language import tr


def run(
    config: ConfigFile = CONFIG,
    *,
    socket: Annotated[
        Path | None,
        typer.Option(
            readable=False, help=tr("Socket for the other commands; default: in the runtime folder.")
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help=tr("If the file cannot be used, end with 78; do not use the last good one.")
        ),
    ] = False,
) -> None:
    """Run the agent until SIGTERM or Ctrl-C; SIGHUP reloads its configuration.

    If the file cannot be used, the agent uses the last configuration that ran. Without one the agent ends
    with 78: a person must change the file.

    Example: edge-agent run --config /etc/edge-agent/agent.toml
    """
    from edge_agent.service import serve  # noqa: PLC0415 - the other verbs do without the agent

    raise typer.Exit(serve(config, socket, strict=strict))
