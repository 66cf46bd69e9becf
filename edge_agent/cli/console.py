"""``edge-agent console``: who may log in to the operators' page."""

import getpass
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import typer

from edge_agent.cli.options import CONFIG, ConfigFile, loaded
from edge_agent.cli.say import say
from edge_agent.cli.verb_exit import stop
from edge_agent.text.language import tr

console = typer.Typer(no_args_is_help=True, help=tr("The operators' web page."))


@console.callback()
def _group() -> None:
    """Let people in to the operators' web page, which `console.listen` turns on."""


@console.command()
def password(
    name: Annotated[str, typer.Argument(help=tr("Name of the user."))] = "admin",
    role: Annotated[
        Literal["viewer", "operator"], typer.Option(help=tr("A viewer sees; an operator also changes."))
    ] = "operator",
    config: ConfigFile = CONFIG,
) -> None:
    """Set a password. It is asked for, or read from standard input where that is no terminal.

    Example: sudo edge-agent console password wang --role viewer
    """
    users, file = _users(config)
    try:
        users.set_password(file, name, _asked(), role)
    except (ValueError, users.UsersError) as error:
        stop(str(error))
    except OSError as error:
        stop(f"{file}: {error.strerror}; run this as root, or as the agent's user")
    say(tr("{name} may log in as {role}; no restart is needed", name=name, role=role))


@console.command()
def remove(
    name: Annotated[str, typer.Argument(help=tr("Name of the user."))], config: ConfigFile = CONFIG
) -> None:
    """Remove a user, and end that user's sessions at once.

    Example: sudo edge-agent console remove wang
    """
    users, file = _users(config)
    try:
        users.remove(file, name)
    except (LookupError, users.UsersError) as error:
        stop(str(error))
    except OSError as error:
        stop(f"{file}: {error.strerror}; run this as root, or as the agent's user")
    say(tr("{name} is kept out; no restart is needed", name=name))


def _users(config: Path) -> tuple[ModuleType, Path]:
    """Return what reads and writes the users, and their file."""
    try:
        from edge_agent.console import users  # noqa: PLC0415 - an extra, and what only these verbs need
    except ModuleNotFoundError as error:
        stop(f"{error.name} is missing; pip install 'smartpark-edge-agent[console]'")
    return users, users.place(loaded(config).outbox.path)


def _asked() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass(tr("New password: "))
    if getpass.getpass(tr("Once more: ")) != first:
        stop(tr("the two differ; nothing was changed"))
    return first
