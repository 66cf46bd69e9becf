"""Edits the file of conf.d that the console writes: checked, written and applied, or put back."""

import asyncio
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from edge_agent.agent.supervisor import Supervisor
from edge_agent.reconfiguration import editable
from edge_agent.reconfiguration.editable import EditableConfig
from edge_agent.reconfiguration.history import Change, History
from edge_agent.reconfiguration.reload_result import ReloadResult
from edge_agent.settings import console_file
from edge_agent.settings.error import Problem, SettingsError
from edge_agent.settings.load import Loaded
from edge_agent.settings.overrides import REPLACES
from edge_agent.settings.side_by_side import side_by_side

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EditResult:
    """The result of an edit, or what it would be.

    ``difference`` is a unified diff from the present text; "" if that one cannot be used, since it may hold
    a secret. ``words`` say what changes, table by table, and ``restarts`` which devices are restarted.
    ``instead`` are the places in other files, such as "agent.toml:12", whose tables the edit overrides for
    the first time. If there are ``problems`` nothing was changed; ``outdated``: because a file has changed
    since the edit was begun. ``number`` is that of the change in the history, 0 if nothing was written.
    """

    difference: str = ""
    words: tuple[str, ...] = ()
    restarts: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    outdated: bool = False
    number: int = 0


class ReloadableAgent(Protocol):
    """What the editor needs of the agent."""

    running: Supervisor | None

    async def reload(self) -> ReloadResult:
        """Apply what the files say now."""

    def now(self) -> int | None:
        """Return the wall-clock time in ms since 1970; None while it is not known."""


class ConfigEditor:
    """Edits the console's file of one agent.toml, one edit at a time."""

    def __init__(self, config: Path, outbox: Path, agent: ReloadableAgent) -> None:
        self.agent_toml, self._file = config, str(console_file.place(config))
        self.history = History(outbox)
        self._agent = agent
        self._changing = asyncio.Lock()

    def read(self) -> EditableConfig:
        """Return what the files say now. Blocking: call it on a thread."""
        return editable.read(self.agent_toml)

    async def judge(self, text: str, made_from: str) -> EditResult:
        """Return what a new text would change, and what is wrong with it. Nothing is written."""
        return (await asyncio.to_thread(self._judged, text, made_from))[1]

    def _judged(self, text: str, made_from: str) -> tuple[str, EditResult]:
        """Return the file's present text, and what the new text would change."""
        result, before, was = EditResult(), "", None
        try:
            before = console_file.read(self.agent_toml)
            if console_file.mark(before) != made_from and before != text:  # else it was asked for twice
                return before, self._outdated()
            was = self._loaded(before)
            result = EditResult(_shown(before, text, was), console_file.words(before, text))
            loaded = console_file.judged_with(self.agent_toml, text)
        except SettingsError as error:
            by_hand = any(problem.key.endswith(f".{REPLACES}") for problem in error.problems)
            return before, replace(result, problems=error.problems, outdated=was is not None and by_hand)
        held = set(was.files.overridden) if was else set()
        now = loaded.files.overridden.items()
        instead = tuple(f"{other.file}:{other.line}" for place, other in now if place not in held)
        running = self._agent.running
        restarts = running.would_restart(loaded.config) if running else ()
        return before, replace(result, restarts=restarts, instead=instead)

    def _loaded(self, before: str) -> Loaded | None:
        try:
            return console_file.judged_with(self.agent_toml, before)
        except SettingsError:
            return None

    async def change(self, text: str, made_from: str, by: str) -> EditResult:
        """Write a new text and apply it; if it cannot be applied, put the old one back.

        ``made_from`` is the mark of the text that it was made from; if the file has another one by now,
        nothing is changed. ``by`` is who asked for it.
        """
        async with self._changing:
            before, result = await asyncio.to_thread(self._judged, text, made_from)
            if result.problems or not result.words:
                return result
            begun: Change | None = None
            try:
                begun = await asyncio.to_thread(
                    self.history.begin, self._agent.now(), by, result.words, (before, text)
                )
                await asyncio.to_thread(console_file.write, self.agent_toml, text)
            except OSError as error:
                return await self._refused(result, begun, by, self._unwritten(error))
            reloaded = await self._agent.reload()
            if reloaded.problems:
                try:
                    await asyncio.to_thread(console_file.write, self.agent_toml, before)
                except OSError as error:
                    return await self._refused(result, begun, by, *reloaded.problems, self._unwritten(error))
                await self._agent.reload()  # what is written runs: no difference is told any more
                return await self._refused(result, begun, by, *reloaded.problems)
            log.warning("configuration: %s changed it: %s", by, ", ".join(result.words))
            await self._end(begun, refused=False)
            return replace(result, number=begun.number)

    async def undo(
        self, number: int, made_from: str, by: str, *, apply: bool, after: bool = False
    ) -> EditResult:
        """Restore the text from before a change, or ``after`` it; without ``apply`` only check it."""
        change = await asyncio.to_thread(self.history.find, number)
        text = None if change is None else change.after if after else change.before
        if text is None:
            return _not_kept(number)
        if apply:
            return await self.change(text, made_from, by)
        return await self.judge(text, made_from)

    def changed(self, number: int) -> EditResult:
        """Return what a past change changed. Blocking: call it on a thread."""
        change = self.history.find(number)
        if change is None or change.before is None or change.after is None:
            return _not_kept(number)
        before, after = change.before, change.after
        shown = all(map(console_file.may_be_shown, (before, after)))
        return EditResult(_difference(before, after) if shown else "", change.words, number=number)

    def _outdated(self) -> EditResult:
        wrong = "was changed by somebody else meanwhile"
        problem = Problem(self._file, 0, "", wrong, "load the page again, and make the change once more")
        return EditResult(problems=(problem,), outdated=True)

    def _unwritten(self, error: OSError) -> Problem:
        wrong = f"cannot be written ({error.strerror or error})"
        return Problem(str(error.filename or self._file), 0, "", wrong, "let the agent's user write it")

    async def _refused(
        self, result: EditResult, begun: Change | None, by: str, *problems: Problem
    ) -> EditResult:
        log.warning("configuration: a change by %s was refused: %s", by, problems[0])
        if begun is not None:
            await self._end(begun, refused=True)
        return replace(result, problems=problems)

    async def _end(self, begun: Change, *, refused: bool) -> None:
        try:
            await asyncio.to_thread(self.history.end, begun, "refused" if refused else "applied")
        except OSError as error:
            log.warning("configuration: what became of a change cannot be noted (%s)", error)


def _not_kept(number: int) -> EditResult:
    wrong, remedy = "is not kept any more", "choose one of the last changes"
    return EditResult(problems=(Problem("the history", 0, f"change {number}", wrong, remedy),))


def _shown(before: str, after: str, was: Loaded | None) -> str:
    """Return the unified diff; "" if the files cannot be used: there may be a secret in them."""
    if was is None:
        return ""
    try:
        return _difference(*side_by_side(before, after, was))
    except ValueError:  # what shall be is no TOML: what is wrong with it is told
        return _difference(before, after)


def _difference(before: str, after: str) -> str:
    from difflib import unified_diff  # noqa: PLC0415 - most gateways never undo

    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(
        line if line.endswith("\n") else f"{line}\n" for line in unified_diff(*lines, "now", "then", n=2)
    )
