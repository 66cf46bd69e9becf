"""``edge-agent contract``: the MQTT contract as documents, for the teams that build on it."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.say import say
from edge_agent.cli.verb_exit import stop
from edge_agent.text.language import tr

contract = typer.Typer(no_args_is_help=True, help=tr("The MQTT contract, for the teams that build on it."))


@contract.callback()
def _verbs() -> None:
    """Keep `export` a verb of its own while it is the only one."""


@contract.command()
def export(
    folder: Annotated[
        Path, typer.Argument(help=tr("The folder to write to; it is created if missing."), file_okay=False)
    ],
) -> None:
    """Write the AsyncAPI document, a JSON Schema for each message, and examples.

    Example: edge-agent contract export contract/
    """
    from edge_agent.contract.export import documents  # noqa: PLC0415 - no other verb needs it

    try:
        written = list(documents())
    except ModuleNotFoundError as error:
        stop(f"{error.name} is missing; pip install 'smartpark-edge-agent[contract]'")
    try:
        for name, text in written:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except OSError as error:
        stop(f"{error.filename}: {error.strerror}; name a folder that may be written")
    say(tr("{number} files in {folder}, of them asyncapi.yaml", number=len(written), folder=folder))
