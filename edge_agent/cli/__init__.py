"""The command ``edge-agent``: a file per verb."""

import sys
from collections.abc import Callable
from inspect import getdoc

import typer

from edge_agent.cli.backup import backup
from edge_agent.cli.check import check
from edge_agent.cli.completion import answer_shells, completion
from edge_agent.cli.console import console
from edge_agent.cli.contract import contract
from edge_agent.cli.decode import decode
from edge_agent.cli.demo import demo
from edge_agent.cli.diagnostics import diagnostics
from edge_agent.cli.doctor import doctor
from edge_agent.cli.drivers import drivers
from edge_agent.cli.healthy import healthy
from edge_agent.cli.init import init
from edge_agent.cli.listen import listen
from edge_agent.cli.outbox import outbox
from edge_agent.cli.plan import plan
from edge_agent.cli.profile import profile
from edge_agent.cli.read import read
from edge_agent.cli.record import record
from edge_agent.cli.reload import reload
from edge_agent.cli.rename import rename
from edge_agent.cli.replay import replay
from edge_agent.cli.report import report
from edge_agent.cli.restore import restore
from edge_agent.cli.run import run
from edge_agent.cli.scan import scan
from edge_agent.cli.status import status
from edge_agent.cli.verb_exit import unprinted
from edge_agent.cli.version import version
from edge_agent.cli.watch import watch
from edge_agent.text.language import tr

app = typer.Typer(
    help=tr("Read sensors, keep each reading on disk, and forward it over MQTT."),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",  # which fills paragraphs; the others keep the line breaks of the code
)


def _words(verb: Callable[..., None]) -> str:
    """Return what ``--help`` says of a verb: its docstring, in the reader's language."""
    docstring = getdoc(verb)
    assert docstring is not None, "each verb has one"
    return tr(docstring)


PANELS: tuple[tuple[str, tuple[Callable[..., None] | tuple[str, typer.Typer], ...]], ...] = (
    (tr("Set up a gateway"), (init, check, doctor, plan, report)),
    (
        tr("Find and read devices"),
        (("scan", scan), read, listen, record, replay, decode, drivers, ("profile", profile)),
    ),
    (
        tr("Operate"),
        (run, status, reload, ("outbox", outbox), ("console", console), healthy, diagnostics),
    ),
    (tr("Save, replace, rename"), (backup, restore, rename)),
    (tr("Try it, and consume"), (demo, watch, ("contract", contract))),
    (tr("This command"), (completion, version)),
)
for panel, verbs in PANELS:
    for verb in verbs:
        if isinstance(verb, tuple):
            name, group = verb
            for inner in group.registered_commands:
                if inner.callback is not None:
                    inner.help = _words(inner.callback)
            app.add_typer(group, name=name, rich_help_panel=panel)
        else:
            app.command(help=_words(verb), rich_help_panel=panel)(verb)


def main() -> None:
    """Run the command line."""
    answer_shells()
    try:
        app()
    except (OSError, ExceptionGroup) as error:
        sys.exit(unprinted(error))
