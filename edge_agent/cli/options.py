"""Options that several verbs have."""

from pathlib import Path
from typing import Annotated

import typer

CONFIG = Path("/etc/edge-agent/agent.toml")
"""Where the configuration of an installed agent is."""

ConfigFile = Annotated[
    Path, typer.Option("--config", "-c", readable=False, help="The configuration file.", show_default=True)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
