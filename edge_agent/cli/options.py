"""Options that several verbs have."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.verb_exit import stop
from edge_agent.text.language import tr

if TYPE_CHECKING:
    from edge_agent.settings.model import Config

CONFIG = Path("/etc/edge-agent/agent.toml")
"""Where the configuration of an installed agent is."""

ConfigFile = Annotated[
    Path,
    typer.Option("--config", "-c", readable=False, help=tr("The configuration file."), show_default=True),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help=tr("Ask no questions."))]


def loaded(config: Path, *, as_json: bool = False) -> "Config":
    """Read the configuration; end the verb with 78 and all that is wrong where it cannot be used."""
    from edge_agent.settings.error import SettingsError  # noqa: PLC0415 - not for --help
    from edge_agent.settings.load import load  # noqa: PLC0415 - as above

    try:
        return load(config)
    except SettingsError as error:
        stop(str(error), as_json=as_json, code=os.EX_CONFIG)


def duration_option(option: str, text: str, *, as_json: bool = False) -> float | None:
    """Read the ``DURATION`` of an option; None where there is none. What is no duration ends the verb."""
    # with it come the words of all settings, which `edge-agent --help` need not wait for
    from edge_agent.settings.units import duration  # noqa: PLC0415

    if not text:
        return None
    try:
        return duration(text.strip())
    except ValueError as error:
        stop(f"{option} {text!r} {error}", as_json=as_json)
