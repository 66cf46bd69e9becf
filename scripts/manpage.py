"""Writes the manual page edge-agent(1) on stdout, from what `edge-agent --help` says of each verb."""

import os
import re
import sys
import time
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

os.environ["LANGUAGE"] = "C"  # before the words are chosen: a manual page in section 1 is in English

from typer.main import get_command

from edge_agent import __version__
from edge_agent.cli import app

_ENDS = (
    ("0", "All is well."),
    ("1", "What was looked for is not there, or not as it should be; each verb says what that is."),
    ("2", "The command cannot be carried out as it was given."),
    ("74", "What it prints cannot be written."),
    ("75", "run: the disk does not let it run now; systemd starts it again."),
    ("78", "The configuration cannot be used, or a person must act; the message says what."),
    ("130, 143", "Stopped by Ctrl-C, or by SIGTERM before it had begun."),
)
_FILES = (
    ("/etc/edge-agent/agent.toml", "The configuration; its comments name every key."),
    ("/etc/edge-agent/conf.d/*.toml", "More buses and devices; the operators' page writes 50-console.toml."),
    ("/etc/edge-agent/secrets", "Passwords and keys, one in each file."),
    ("/var/lib/edge-agent/outbox.db", "The outbox: every reading, until all uplinks have it."),
    ("/run/edge-agent/control.sock", "Where the verbs ask the running agent."),
    (
        "/usr/share/doc/smartpark-edge-agent",
        "All pages of the documentation, where the package is installed.",
    ),
)


def page() -> Iterator[str]:
    """Give the lines of the page, in the macros of man(7)."""
    command: Any = get_command(app)  # typer's own kind, of which it has none in public
    when = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    yield f'.TH EDGE\\-AGENT 1 {when} "edge\\-agent {_plain(__version__)}" "User Commands"'
    yield from (".SH NAME", "edge\\-agent \\- gateway agent for park sensors")
    yield from (".SH SYNOPSIS", ".B edge\\-agent", ".I VERB", "[OPTIONS] [ARGUMENTS]")
    yield from (".SH DESCRIPTION", *_text(command.help))
    yield ".SH VERBS"
    for name, verb in _verbs(command, "edge-agent"):
        yield from _verb(name, verb)
    yield from (".SH EXIT STATUS", *_table(_ENDS))
    yield from (".SH FILES", *_table(_FILES))
    yield from (".SH SEE ALSO", ".BR systemctl (1),", ".BR journalctl (1),", ".BR mosquitto_sub (1)")


def _verbs(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    for word, below in command.commands.items():
        if hasattr(below, "commands"):
            yield from _verbs(below, f"{name} {word}")
        else:
            yield f"{name} {word}", below


def _verb(name: str, verb: Any) -> Iterator[str]:
    arguments = [param for param in verb.params if param.param_type_name == "argument"]
    options = [param for param in verb.params if param.param_type_name == "option" and not param.hidden]
    words = " ".join([f"\\fB{_plain(name)}\\fR", *(f"\\fI{_plain(_metavar(one))}\\fR" for one in arguments)])
    yield from (f'.SS "{words}"', *_text(cleandoc(verb.callback.__doc__)))
    for one in arguments:
        yield from (".TP", f"\\fI{_plain(_metavar(one))}\\fR", *_text(one.help or ""))
    for one in options:
        named = ", ".join(f"\\fB{_plain(opt)}\\fR" for opt in (*one.opts, *one.secondary_opts))
        value = "" if one.is_flag else f" \\fI{_plain(_metavar(one))}\\fR"
        yield from (".TP", named + value, *_text(one.help or ""))


def _metavar(param: Any) -> str:
    return str(param.metavar or param.name.strip("_").replace("_", "-").upper())


def _table(rows: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for term, says in rows:
        yield from (".TP", f"\\fB{_plain(term)}\\fR", *_text(says))


def _text(text: str) -> Iterator[str]:
    """Give a text of one or more paragraphs, as the verbs' docstrings are."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".PP"
        line = _plain(" ".join(paragraph.split()))
        yield re.sub(r"`(.+?)`", r"\\fB\1\\fR", line) or "\\&"


def _plain(text: str) -> str:
    """Write a text so that nothing in it is a request or an escape."""
    written = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{written}" if written.startswith(".") else written


if __name__ == "__main__":
    sys.stdout.write("\n".join(page()) + "\n")
