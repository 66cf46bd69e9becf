"""What the console changes in the configuration: shown as a difference first, then applied, and undone."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge_agent.console.form import read_form
from edge_agent.console.overview import Ask
from edge_agent.console.page import Pages
from edge_agent.console.sessions import Session
from edge_agent.settings.edit import without_table
from edge_agent.settings.written import CONF_D

_OWN_FIELDS = {"csrf", "apply", "mark"}
_MOST_CHANGES = 100
_LONGEST_NUMBER = 9  # digits


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bus or a device stands. ``own``: in the file that the console writes."""

    table: str
    id: str
    file: str
    line: int
    own: bool


@dataclass(frozen=True, slots=True)
class Known:
    """The console's file as it is, and what stands in the others."""

    file: str
    text: str
    mark: str
    places: Sequence[Place]
    problems: Sequence[Mapping[str, Any]]
    changes: Sequence[Mapping[str, Any]]

    def table(self, kind: str, id_: str) -> dict[str, Any]:
        """Return one table of this file; an empty one where it has none."""
        return dict(tomllib.loads(self.text).get(kind, {}).get(id_, {}))

    def place(self, kind: str, id_: str) -> Place | None:
        """Return where something stands, in any file."""
        return next((one for one in self.places if (one.table, one.id) == (kind, id_)), None)

    def ids(self, kind: str) -> list[str]:
        """Return those of all files."""
        return [one.id for one in self.places if one.table == kind]


async def known(ask: Ask) -> Known:
    """Return what there is now."""
    told = await ask("configuration", {})
    places = [Place(**place, own=place["file"] == told["file"]) for place in told["places"]]
    return Known(told["file"], told["text"], told["mark"], places, told["problems"], told["changes"])


class Change:
    """The pages about all of it; those with a device's form are of their own."""

    def __init__(self, pages: Pages, ask: Ask) -> None:
        self.pages, self.ask = pages, ask

    async def show(self, request: Request, session: Session) -> Response:
        """Show what the console wrote, and where the rest stands."""
        now = await known(self.ask)
        done = request.query_params.get("done", "")
        last = next((change for change in now.changes if str(change["number"]) == done), None)
        return self.pages.answer(
            request, "change.html", session=session, now=now, done=last, devices=_ordered(now.places)
        )

    async def history(self, request: Request, session: Session) -> Response:
        """Show who changed what, and when."""
        now = await known(self.ask)
        return self.pages.answer(
            request,
            "change_history.html",
            session=session,
            now=now,
            changes=now.changes[:_MOST_CHANGES],
        )

    async def remove(self, request: Request, session: Session) -> Response:
        """Remove a bus or a device from the console's file."""
        told = await read_form(request)
        kind, id_ = told.get("table", ""), told.get("id", "")
        now = await known(self.ask)
        place = now.place(kind, id_)
        if kind not in CONF_D or place is None or not place.own:
            raise HTTPException(404)
        return await self.configure(request, session, without_table(now.text, (kind, id_)))

    async def undo(self, request: Request, session: Session) -> Response:
        """Make it as it was before a change."""
        number = (await read_form(request)).get("number", "")
        if not number.isdecimal() or len(number) > _LONGEST_NUMBER:
            raise HTTPException(404)
        return await self.decide(request, session, "undo", {"number": int(number)})

    async def configure(self, request: Request, session: Session, text: str) -> Response:
        """Show what a text would change; once that was seen, apply it."""
        return await self.decide(request, session, "configure", {"text": text})

    async def judge(self, request: Request, session: Session, text: str) -> Mapping[str, Any]:
        """Return what is wrong with a text, and what differs."""
        mark = (await read_form(request)).get("mark", "")
        return await self.ask("configure", {"text": text, "made_from": mark, "by": session.user})

    async def decide(
        self, request: Request, session: Session, verb: str, args: Mapping[str, Any]
    ) -> Response:
        """Show the difference that a verb would make, with its problems; or apply it, if that was seen."""
        told = await read_form(request)
        apply = told.get("apply") == "yes"
        said = await self.ask(
            verb, {**args, "made_from": told.get("mark", ""), "by": session.user, "apply": apply}
        )
        if apply and not said["problems"]:
            return RedirectResponse(f"/change?done={said['number']}", 303)
        mark = (await known(self.ask)).mark if said["outdated"] else told.get("mark", "")
        return self.pages.answer(
            request,
            "change_confirm.html",
            (409 if said["outdated"] else 422) if said["problems"] else 200,
            session=session,
            said=said,
            mark=mark,
            fields={key: value for key, value in told.items() if key not in _OWN_FIELDS},
        )


def _ordered(places: Sequence[Place]) -> list[Place]:
    return sorted(places, key=lambda place: (not place.own, place.table != "device", place.id))
