"""``edge-agent console``: who may log in to the operators' page."""

import getpass
import sys
from typing import Annotated, Literal

import typer

from edge_agent.cli.ending import stop
from edge_agent.cli.options import CONFIG, ConfigFile, loaded
from edge_agent.cli.say import say
from edge_agent.language import tr

console = typer.Typer(no_args_is_help=True, help=tr("The operators' web page."))


@console.callback()
def _group() -> None:
    """Let people in to the operators' web page, which `console.listen` turns on."""


@console.command()
def password(
    name: Annotated[str, typer.Argument(help=tr("Who is to log in with it."))] = "admin",
    role: Annotated[
        Literal["viewer", "operator"], typer.Option(help=tr("A viewer sees; an operator also changes."))
    ] = "operator",
    config: ConfigFile = CONFIG,
) -> None:
    """Set a password. It is asked for, or read from standard input where that is no terminal.

    Example: sudo edge-agent console password wang --role viewer
    """
    # what only this verb needs

    try:
        from edge_agent.console import users  # noqa: PLC0415 - the same
    except ModuleNotFoundError as error:
        stop(f"{error.name} is missing; pip install 'smartpark-edge-agent[console]'")
    found = loaded(config)
    file = users.place(found.outbox.path)
    try:
        users.set_password(file, name, _asked(), role)
    except (ValueError, users.UsersError) as error:
        stop(str(error))
    except OSError as error:
        stop(f"{file}: {error.strerror}; run this as root, or as the agent's user")
    say(tr("{name} may log in as {role}; no restart is needed", name=name, role=role))


def _asked() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass(tr("New password: "))
    if getpass.getpass(tr("Once more: ")) != first:
        stop(tr("the two differ; nothing was changed"))
    return first
