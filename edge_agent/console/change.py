"""What the console changes in the configuration: shown as a difference first, then applied, and undone."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge_agent.console.form import read_form
from edge_agent.console.gone import gone
from edge_agent.console.known import Known, Place, known
from edge_agent.console.overview import Ask
from edge_agent.console.page import Pages
from edge_agent.console.sessions import Session
from edge_agent.settings.files import CONF_D

_OWN_FIELDS = {"csrf", "apply", "again", "mark"}
_MOST_CHANGES = 100
_LONGEST_NUMBER = 9  # digits


class Change:
    """The pages about all of it; those with forms are of their own."""

    def __init__(self, pages: Pages, ask: Ask) -> None:
        self.pages, self.ask = pages, ask

    async def show(self, request: Request, session: Session) -> Response:
        """Show what there is, where it stands, and what was done just now."""
        now = await known(self.ask)
        done = request.query_params.get("done", "")
        last = next((change for change in now.changes if str(change["number"]) == done), None)
        return self.pages.answer(
            request,
            "change.html",
            session=session,
            now=now,
            done=last,
            touched=_devices(last["words"]) if last else [],
            folder=f"{Path(now.file).parents[1]}/",
            places=_ordered(now.places),
        )

    async def history(self, request: Request, session: Session) -> Response:
        """Show who changed what, and when."""
        now = await known(self.ask)
        changes = now.changes[:_MOST_CHANGES]
        return self.pages.answer(request, "change_history.html", session=session, now=now, changes=changes)

    async def one(self, request: Request, session: Session) -> Response:
        """Show what one change changed."""
        number = _number(request.path_params["number"])
        now = await known(self.ask)
        change = next((change for change in now.changes if change["number"] == number), None)
        if change is None:
            raise HTTPException(404)
        said = await self.ask("changed", {"number": number})
        return self.pages.answer(
            request, "change_one.html", session=session, now=now, change=change, said=said
        )

    async def remove(self, request: Request, session: Session) -> Response:
        """Remove a bus or a device; one of another file is left out from now on."""
        now, kind, id_ = await self._named(request)
        if now.place(kind, id_) is None and (await read_form(request)).get("apply") != "yes":
            # when it is applied, the button may have been pressed twice
            return await gone(self.pages, self.ask, request, session, (kind, id_))
        return await self.configure(request, session, now.without(kind, id_))

    async def restore(self, request: Request, session: Session) -> Response:
        """Let hold again what another file says."""
        now, kind, id_ = await self._named(request)
        if not now.base(kind, id_):
            return await gone(self.pages, self.ask, request, session, (kind, id_))
        return await self.configure(request, session, now.as_elsewhere(kind, id_))

    async def _named(self, request: Request) -> tuple[Known, str, str]:
        told = await read_form(request)
        kind, id_ = told.get("table", ""), told.get("id", "")
        if kind not in CONF_D:
            raise HTTPException(404)
        return await known(self.ask), kind, id_

    async def undo(self, request: Request, session: Session) -> Response:
        """Make it as it was before a change, or after it."""
        told = await read_form(request)
        to = "after" if told.get("to") == "after" else "before"
        args = {"number": _number(told.get("number", "")), "to": to}
        return await self.decide(request, session, "undo", args)

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
            number = said["number"] or await self._last()  # nothing was left to do: the last one did it
            return RedirectResponse(f"/change?done={number}", 303)
        fields = {key: value for key, value in told.items() if key not in _OWN_FIELDS}
        mark = told.get("mark", "")
        if said["outdated"]:  # made once more from what is there now, if somebody wants that
            now = await known(self.ask)
            mark = now.mark
            if "base" in fields:
                fields["base"] = now.base(*fields.get("of", ".").split(".", 1))
        return self.pages.answer(
            request,
            "change_confirm.html",
            (409 if said["outdated"] else 422) if said["problems"] else 200,
            session=session,
            said=said,
            mark=mark,
            fields=fields,
        )

    async def _last(self) -> int:
        changes = (await known(self.ask)).changes
        return int(changes[0]["number"]) if changes else 0


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > _LONGEST_NUMBER:
        raise HTTPException(404)
    return int(text)


def _devices(words: Iterable[str]) -> list[str]:
    """Return the devices that a change added or changed, as its words name them."""
    steps = (word.split(" ") for word in words)
    return [step[1] for step in steps if step[0] == "device" and step[-1] != "removed"]


def _ordered(places: Sequence[Place]) -> list[Place]:
    return sorted(places, key=lambda place: (place.table != "device", place.id))
