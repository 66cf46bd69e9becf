"""Options that several verbs have."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.language import tr

CONFIG = Path("/etc/edge-agent/agent.toml")
"""Where the configuration of an installed agent is."""

ConfigFile = Annotated[
    Path,
    typer.Option("--config", "-c", readable=False, help=tr("The configuration file."), show_default=True),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help=tr("Do not ask."))]
