"""The verbs of the control socket, by name; the command line and the console use the same."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from edge_agent.agent.agent import Agent
from edge_agent.bus.serial import BusError
from edge_agent.contract.commands import ReadArgs
from edge_agent.control.happened import HappenedArgs, tell_happened
from edge_agent.control.identify import IdentifyArgs, identify
from edge_agent.control.last_frames import OfDeviceArgs, tell_frames
from edge_agent.control.plot import PastArgs, tell_past
from edge_agent.control.protocol import LEASE_S, STRICT, Person, RefusedError
from edge_agent.control.recent_log import tell_log
from edge_agent.control.scan import ScanAirArgs, ScanArgs, scan_air, scan_port
from edge_agent.control.server import Carry, Tell
from edge_agent.control.sparklines import tell_hour
from edge_agent.driver_kit.text_pattern import form
from edge_agent.reconfiguration.editable import EditableConfig, Place
from edge_agent.reconfiguration.editor import ConfigEditor, EditResult
from edge_agent.settings.console_file import LARGEST
from edge_agent.status import as_json
from edge_agent.uplink.downlink import CannotError


class NoArgs(BaseModel):
    """A verb that takes nothing."""

    model_config = STRICT


class Verb(NamedTuple):
    """The function that carries out a verb, and the model of its arguments."""

    carry: Callable[[Agent, Any, Tell], Awaitable[Mapping[str, Any]]]
    args: type[BaseModel] = NoArgs


async def _status(agent: Agent, _args: NoArgs, _tell: Tell) -> Mapping[str, Any]:
    return as_json(agent.status())


async def _reload(agent: Agent, _args: NoArgs, _tell: Tell) -> Mapping[str, Any]:
    reloaded = await agent.reload()
    return {
        "changes": reloaded.changes,
        "problems": [str(problem) for problem in reloaded.problems],
        "left_out": [str(problem) for problem in reloaded.left_out],
    }


class LendArgs(BaseModel):
    """Which port is wanted, and who wants it."""

    model_config = STRICT

    port: Annotated[str, Field(max_length=1000)]
    by: Annotated[str, Field(max_length=100), form(r"[ -~]+", "is no name; write it in ASCII")]  # for the log


async def _lend(agent: Agent, args: LendArgs, tell: Tell) -> Mapping[str, Any]:
    """Lend a port until the client goes, or its time is over. ``bus`` is "" where none has it."""
    try:
        async with agent.lent(args.port, args.by) as bus:
            if bus:
                await tell({"bus": bus, "within_s": LEASE_S})
                await asyncio.sleep(LEASE_S)
    except (BusError, ValueError) as error:
        raise RefusedError(str(error)) from None
    return {"bus": bus}


class ChangeArgs(BaseModel):
    """Who changes the console's file, and from which text of it; without ``apply`` it is only judged."""

    model_config = STRICT

    made_from: Annotated[str, Field(max_length=64)]
    by: Person
    apply: bool = False


class ConfigureArgs(ChangeArgs):
    """The whole text of the file."""

    text: Annotated[str, Field(max_length=LARGEST)]


class UndoArgs(ChangeArgs):
    """Which change, by its number in the history, and whether to what was before it or after it."""

    number: int
    to: Literal["before", "after"] = "before"


class ChangedArgs(BaseModel):
    """Which change, by its number in the history."""

    model_config = STRICT

    number: int


async def _configuration(agent: Agent, _args: NoArgs, _tell: Tell) -> Mapping[str, Any]:
    editor = _editor(agent)
    found = await asyncio.to_thread(editor.read)
    changes = await asyncio.to_thread(lambda: list(editor.history.all()))
    return {
        "file": found.file,
        "text": found.text,
        "mark": found.mark,
        "problems": [asdict(problem) for problem in found.problems],
        "places": [_place(found, place) for place in found.places],
        "removed": [_place(found, place) for place in found.overridden if place not in found.places],
        "changes": [
            {"number": one.number, "ts": one.ts, "by": one.by, "words": one.words, "outcome": one.outcome}
            | {"can_undo": one.outcome == "applied" and one.before is not None}
            for one in changes
        ],
    }


def _place(found: EditableConfig, place: Place) -> dict[str, Any]:
    """Tell of one bus or device: where it stands, what it says, and what it stands in the place of."""
    other = found.overridden.get(place)
    file, line = found.places.get(place) or other or ("", 0)
    return {
        "table": place[0],
        "id": place[1],
        "file": file,
        "line": line,
        "says": found.tables.get(place),
        "secret": place in found.secret,
        "mark": found.marks.get(place, ""),
        "instead_of": f"{other[0]}:{other[1]}" if other else "",
    }


async def _changed(agent: Agent, args: ChangedArgs, _tell: Tell) -> Mapping[str, Any]:
    return asdict(await asyncio.to_thread(_editor(agent).changed, args.number))


async def _configure(agent: Agent, args: ConfigureArgs, _tell: Tell) -> Mapping[str, Any]:
    if not args.apply:
        return asdict(await _editor(agent).judge(args.text, args.made_from))
    return asdict(await agent.configure(lambda to: to.change(args.text, args.made_from, args.by)))


async def _undo(agent: Agent, args: UndoArgs, _tell: Tell) -> Mapping[str, Any]:
    def undo(to: ConfigEditor) -> Coroutine[Any, Any, EditResult]:
        return to.undo(args.number, args.made_from, args.by, apply=args.apply, after=args.to == "after")

    if not args.apply:
        return asdict(await undo(_editor(agent)))
    return asdict(await agent.configure(undo))


async def _scan(agent: Agent, args: ScanArgs, tell: Tell) -> Mapping[str, Any]:
    return await scan_port(agent.lent, args, tell)


async def _scan_ble(_agent: Agent, args: ScanAirArgs, _tell: Tell) -> Mapping[str, Any]:
    return await scan_air(args)


def _editor(agent: Agent) -> ConfigEditor:
    if agent.config_editor is None:
        raise RefusedError("this agent was started without a file; restart it with one")
    return agent.config_editor


async def _read(agent: Agent, args: ReadArgs, _tell: Tell) -> Mapping[str, Any]:
    if agent.running is None:
        raise RefusedError("the agent is about to start or to stop; try again in a minute")
    try:
        return await agent.running.own_commands.read(args)
    except CannotError as error:
        raise RefusedError(str(error)) from None


VERBS: Mapping[str, Verb] = {
    "status": Verb(_status),
    "reload": Verb(_reload),
    "lend": Verb(_lend, LendArgs),
    "scan": Verb(_scan, ScanArgs),
    "scan_ble": Verb(_scan_ble, ScanAirArgs),
    "configuration": Verb(_configuration),
    "configure": Verb(_configure, ConfigureArgs),
    "undo": Verb(_undo, UndoArgs),
    "changed": Verb(_changed, ChangedArgs),
    "read": Verb(_read, ReadArgs),
    "past": Verb(tell_past, PastArgs),
    "hour": Verb(tell_hour),
    "happened": Verb(tell_happened, HappenedArgs),
    "log": Verb(tell_log),
    "frames": Verb(tell_frames, OfDeviceArgs),
    "identify": Verb(identify, IdentifyArgs),
}


def verbs(agent: Agent) -> Carry:
    """Return a function that carries out all verbs for one agent."""

    async def carry(name: str, args: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
        verb = VERBS.get(name)
        if verb is None:
            raise RefusedError(f"there is no verb {name!r} here; there are: {', '.join(VERBS)}")
        try:
            checked = verb.args.model_validate(args)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, wrong["loc"]))
            raise RefusedError(f"{name}: {place}: {wrong['msg']}") from None
        return await verb.carry(agent, checked, tell)

    return carry
