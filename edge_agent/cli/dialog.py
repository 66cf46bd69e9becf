"""Ask a person, one plain line at a time: works over ssh, and goes on where it was interrupted."""

import getpass
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from edge_agent.cli.say import say
from edge_agent.cli.verb_exit import stop
from edge_agent.text.language import tr
from edge_agent.text.translation import translated


class Dialog:
    """Questions whose answers are remembered in a file until ``done``; secrets are not.

    ``given`` are answers from the command line, which are not asked for. With ``yes`` nothing is asked:
    what is not given takes its default.
    """

    def __init__(self, memory: Path, given: dict[str, str], *, yes: bool) -> None:
        self._memory, self._given, self.yes = memory, given, yes
        self._known: dict[str, str] = {}
        if not yes and memory.exists():
            try:
                self._known = {
                    str(key): str(answer) for key, answer in json.loads(memory.read_text("utf-8")).items()
                }
            except (OSError, ValueError, AttributeError):
                self._known = {}
            say(tr("Going on where it was interrupted; Enter takes what is in brackets, - takes nothing."))

    def text(
        self,
        key: str,
        question: str,
        default: str = "",
        check: Callable[[str], object] = lambda _text: None,
        *,
        optional: bool = False,
    ) -> str:
        """Ask for a line until ``check`` raises no ValueError; "" and Enter take the default.

        ``optional``: nothing is an answer, too, and it is said how to give it.
        """
        if key in self._given or self.yes:
            answer = self._given.get(key, default)
            try:
                check(answer)
            except ValueError as error:
                stop(f"--{key} {answer!r} {error}")
            return answer
        default = self._known.get(key, default)
        hint = f" [{default}]" if default else ""
        if optional:
            hint += tr(" (-: none)") if default else tr(" (Enter: none)")
        while True:
            answer = _line(f"{question}{hint}: ").strip() or default
            answer = "" if answer == "-" else answer
            try:
                check(answer)
            except ValueError as error:
                say(f"  {translated(str(error))}", filled=True)
                continue
            self.remember(key, answer)
            return answer

    def agreed(self, question: str, *, default: bool) -> bool:
        """Ask yes or no; with ``yes``, the default."""
        if self.yes:
            return default
        while True:
            answer = _line(f"{question} [{'Y/n' if default else 'y/N'}]: ").strip().lower()
            if answer in {"", "y", "yes", "n", "no"}:
                return answer.startswith("y") if answer else default

    def secret(self, question: str) -> str:
        """Ask for what nobody may read over a shoulder; it is not remembered."""
        if self.yes:
            return ""
        return getpass.getpass(f"{question}: ") if sys.stdin.isatty() else _line(f"{question}: ")

    def forget(self, key: str) -> None:
        """Ask for something again, though it was given."""
        self._given.pop(key, None)

    def known(self, key: str) -> str:
        """Return what is remembered, "" for nothing."""
        return self._known.get(key, "")

    def remember(self, key: str, answer: str) -> None:
        """Remember an answer for the next start."""
        self._known[key] = answer
        if self.yes:
            return
        descriptor = os.open(self._memory, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(self._known, file)

    def done(self) -> None:
        """Forget all answers."""
        self._memory.unlink(missing_ok=True)


def keep_secret(name: str, secret: str) -> None:
    """Keep a secret as a file of its own, and say where; or end the verb."""
    from edge_agent.onsite.placing import place_secret  # noqa: PLC0415 - not for --help

    try:
        say(tr("  kept in {file}", file=place_secret(name, secret)))
    except OSError as error:
        stop(f"secret {name} cannot be kept ({error.filename}: {error.strerror}); run it with sudo")


def _line(question: str) -> str:
    say(question, end="")
    answer = sys.stdin.readline()
    if not answer:
        say("")
        stop("there is no answer; run it on a terminal, or give everything with options and --yes")
    return answer.rstrip("\n")
