"""``edge-agent completion``: let a shell complete verbs, options, devices, ports and drivers."""

import os
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import CONFIG
from edge_agent.text.language import tr

_PROGRAM = "edge-agent"
_VARIABLE = "_EDGE_AGENT_COMPLETE"


class Shell(StrEnum):
    """A shell whose completion is known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help=tr("The shell to complete in."))]) -> None:
    """Print a completion script for a shell: commands, options, names of devices, ports and drivers.

    Example: edge-agent completion bash > /etc/bash_completion.d/edge-agent
    """
    import typer.completion  # noqa: PLC0415 - only for this

    # typer exports it without saying so
    made = typer.completion.get_completion_script  # type: ignore[attr-defined]
    print(made(prog_name=_PROGRAM, complete_var=_VARIABLE, shell=shell.value))


def answer_shells() -> None:
    """Let typer answer a shell that asks what a word may become."""
    if _VARIABLE in os.environ:
        import typer.completion  # noqa: PLC0415 - only for this

        typer.completion.completion_init()  # type: ignore[attr-defined] # as above


def device_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the devices of the configuration; a file that is not right may still have some."""
    file = Path(ctx.params.get("config") or CONFIG)
    try:
        devices = tomllib.loads(file.read_text("utf-8-sig")).get("device")
    except (OSError, ValueError):
        return []
    return [name for name in devices if name.startswith(incomplete)] if isinstance(devices, dict) else []


def ports(incomplete: str) -> list[str]:
    """Return the serial ports of this machine."""
    from edge_agent.bus.ports import serial_ports  # noqa: PLC0415 - as above

    names = (name for port in serial_ports() for name in (port.name, port.tty))
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def driver_names(incomplete: str) -> list[str]:
    """Return the installed drivers, without importing one."""
    from edge_agent import registry  # noqa: PLC0415 - as above

    return [name for name in registry.names() if name.startswith(incomplete)]
