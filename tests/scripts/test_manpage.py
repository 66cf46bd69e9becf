"""edge-agent(1) has every verb and option, and nothing in it is taken for a request."""

import re

from typer.main import get_command

from edge_agent.cli import app
from scripts.manpage import page

_REQUESTS = {"TH", "SH", "SS", "TP", "PP", "B", "I", "BR"}


def test_it_has_every_verb_and_option() -> None:
    text = "\n".join(page()).replace("\\-", "-")
    commands = get_command(app).commands  # type: ignore[attr-defined]  # typer's own kind of group
    for name, verb in commands.items():
        for below in getattr(verb, "commands", {"": verb}):
            assert f'.SS "\\fBedge-agent {name} {below}'.rstrip() in text
        for param in verb.params:
            for option in () if param.param_type_name == "argument" or param.hidden else param.opts:
                assert f"\\fB{option}\\fR" in text
    assert "\\fB78\\fR" in text


def test_nothing_in_it_is_a_request_by_accident() -> None:
    for line in page():
        if line.startswith((".", "'")):
            assert line[1:].split()[0] in _REQUESTS
        assert not re.search(r"\\(?![-e&(f])", line), line
