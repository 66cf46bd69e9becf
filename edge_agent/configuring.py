"""Change the file of conf.d that the console writes: judged, written and applied, or as it was."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edge_agent.history import Change, History
from edge_agent.reloaded import Reloaded
from edge_agent.settings import console_file
from edge_agent.settings.error import Problem, SettingsError
from edge_agent.settings.written import CONF_D

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    """The console's file as it is. ``places`` are file and line of each bus and device in any file."""

    file: str
    text: str
    mark: str
    places: Mapping[tuple[str, str], tuple[str, int]]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Configured:
    """What became of a change, or would become of it.

    ``difference`` is what differs between the texts, as a unified diff; "" where the text that is there
    cannot be used, since there may be a secret in it. With ``problems`` nothing changed; ``outdated``: the
    file is another one by now than that which the change was made from.
    """

    difference: str = ""
    words: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    outdated: bool = False
    number: int = 0


class Configuring:
    """Changes the file beside one agent.toml, one change at a time. ``moment`` tells the time in ms."""

    def __init__(
        self,
        config: Path,
        outbox: Path,
        reload: Callable[[], Awaitable[Reloaded]],
        moment: Callable[[], int | None],
    ) -> None:
        self._config, self._file = config, str(console_file.place(config))
        self.history = History(outbox)
        self._reload, self._moment = reload, moment
        self._changing = asyncio.Lock()

    def read(self) -> Written:
        """Return what the file says now, and where everything stands in all files. On a thread.

        A file that cannot be used has ``problems``, and no text: there may be a secret in it.
        """
        text = ""
        try:
            text = console_file.read(self._config)
            loaded = console_file.judged_with(self._config, text)
        except SettingsError as error:
            return Written(self._file, "", console_file.mark(text), {}, error.problems)
        places = {
            (kind, id_): loaded.written.place((kind, id_))
            for kind in CONF_D
            for id_ in loaded.written.raw.get(kind, {})
        }
        return Written(self._file, text, console_file.mark(text), places)

    async def judge(self, text: str, made_from: str) -> Configured:
        """Say what a text would change, and what is wrong with it. Nothing is written."""
        return (await asyncio.to_thread(self._judged, text, made_from))[1]

    def _judged(self, text: str, made_from: str) -> tuple[str, Configured]:
        """Return what the file says now, too."""
        told, before = Configured(), ""
        try:
            before = console_file.read(self._config)
            if console_file.mark(before) != made_from:
                return before, self._outdated()
            told = Configured(self._shown(before, text), console_file.words(before, text))
            console_file.judged_with(self._config, text)
        except SettingsError as error:
            told = replace(told, problems=error.problems)
        return before, told

    def _shown(self, before: str, after: str) -> str:
        """Return the difference; "" where what is there cannot be used: there may be a secret in it."""
        try:
            console_file.judged_with(self._config, before)
        except SettingsError:
            return ""
        return _difference(before, after)

    async def change(self, text: str, made_from: str, by: str) -> Configured:
        """Let the file say this text, made from the one with this mark, and go on with it; or as before."""
        async with self._changing:
            before, told = await asyncio.to_thread(self._judged, text, made_from)
            if told.problems or not told.words:
                return told
            begun: Change | None = None
            try:
                begun = await asyncio.to_thread(
                    self.history.begin, self._moment(), by, told.words, (before, text)
                )
                await asyncio.to_thread(console_file.write, self._config, text)
            except OSError as error:
                return await self._refused(told, begun, by, self._unwritten(error))
            reloaded = await self._reload()
            if reloaded.problems:
                try:
                    await asyncio.to_thread(console_file.write, self._config, before)
                except OSError as error:
                    return await self._refused(told, begun, by, *reloaded.problems, self._unwritten(error))
                await self._reload()  # what is written is what runs: it is not told any more that it differs
                return await self._refused(told, begun, by, *reloaded.problems)
            log.warning("configuration: %s changed it: %s", by, ", ".join(told.words))
            await self._end(begun, refused=False)
            return replace(told, number=begun.number)

    async def undo(self, number: int, made_from: str, by: str, *, apply: bool) -> Configured:
        """Let the file say what it said before a change; without ``apply`` tell what that would be."""
        change = await asyncio.to_thread(self.history.find, number)
        if change is None or change.before is None:
            wrong, remedy = "is not kept any more", "choose one of the last changes"
            return Configured(problems=(Problem("the history", 0, f"change {number}", wrong, remedy),))
        if apply:
            return await self.change(change.before, made_from, by)
        return await self.judge(change.before, made_from)

    def _outdated(self) -> Configured:
        wrong = "was changed by somebody else meanwhile"
        problem = Problem(self._file, 0, "", wrong, "load the page again, and make the change once more")
        return Configured(problems=(problem,), outdated=True)

    def _unwritten(self, error: OSError) -> Problem:
        wrong = f"cannot be written ({error.strerror or error})"
        return Problem(str(error.filename or self._file), 0, "", wrong, "let the agent's user write it")

    async def _refused(
        self, told: Configured, begun: Change | None, by: str, *problems: Problem
    ) -> Configured:
        log.warning("configuration: a change by %s was refused: %s", by, problems[0])
        if begun is not None:
            await self._end(begun, refused=True)
        return replace(told, problems=problems)

    async def _end(self, begun: Change, *, refused: bool) -> None:
        try:
            await asyncio.to_thread(self.history.end, begun, "refused" if refused else "applied")
        except OSError as error:
            log.warning("configuration: what became of a change cannot be noted (%s)", error)


def _difference(before: str, after: str) -> str:
    from difflib import unified_diff  # noqa: PLC0415 - most gateways never undo

    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(
        line if line.endswith("\n") else f"{line}\n" for line in unified_diff(*lines, "now", "then", n=2)
    )
