"""The form of one device, made from the model of a device and from its driver's own model of settings."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge_agent import registry
from edge_agent.bus.ports import serial_ports
from edge_agent.console import fields as forms
from edge_agent.console.change import Change
from edge_agent.console.fields import NEW_BUS, Field
from edge_agent.console.filled import blamed, filled, given, grouped, put
from edge_agent.console.form import read_form
from edge_agent.console.gone import gone
from edge_agent.console.known import Known, known
from edge_agent.console.live import Live
from edge_agent.console.preview import channels_of, multiplied
from edge_agent.console.sessions import Session
from edge_agent.control.protocol import RefusedError
from edge_agent.registry import UnknownDriverError
from edge_agent.settings import validation_errors
from edge_agent.settings.validation_errors import dotted

_FIRST = ("bus", "name", "place", "interval")


class DeviceForm:
    """Adds and edits devices, wherever they stand."""

    def __init__(self, change: Change, live: Live) -> None:
        self._change, self._live = change, live

    async def show(self, request: Request, session: Session) -> Response:
        """Show the form of a device; of a new one, without a driver, the choice of one."""
        now, id_ = await known(self._change.ask), request.path_params.get("id", "")
        if refused := await not_here(self._change, request, session, now, ("device", id_)):
            return refused
        table = now.says("device", id_)
        driver = str(table.get("driver", "")) or request.query_params.get("driver", "")
        if not driver:
            return await self._choose(request, session)
        fields = await _fields(driver, now)
        told = dict(request.query_params)
        return await self._form(
            request, session, now, (id_, driver), filled(fields, table) if id_ else given(fields, told), told
        )

    async def _choose(self, request: Request, session: Session) -> Response:
        kinds = await asyncio.to_thread(
            lambda: [(entry, forms.models(entry.name)) for entry in registry.entries() if entry.driver]
        )
        return self._change.pages.answer(request, "change_driver.html", session=session, kinds=kinds)

    async def _form(  # noqa: PLR0913, PLR0917 - what the template shows
        self,
        request: Request,
        session: Session,
        now: Known,
        what: tuple[str, str],
        fields: list[Field],
        told: Mapping[str, str],
        others: list[str] | None = None,
    ) -> Response:
        id_, driver = what
        table = now.says("device", id_)
        own = [field for field in fields if field.name.startswith("settings.")]
        bus = [field for field in fields if field.name.startswith("bus.")]
        rest = [field for field in fields if field not in own and field not in bus and field.name != "id"]
        values = (await self._live.status()).devices if id_ else ()
        shown = next((one for one in values if one.id == id_), None)
        return self._change.pages.answer(
            request,
            "change_device.html",
            422 if others is not None else 200,
            session=session,
            mark=told.get("mark") or now.mark,
            base=told.get("base") or now.base("device", id_),
            id=id_,
            driver=driver,
            title=registry.load(driver).title,
            place=now.place("device", id_),
            fields=[*own, *(field for field in rest if field.name in _FIRST)],
            more=grouped(field for field in rest if field.name not in _FIRST),
            bus=bus,
            id_field=next(field for field in fields if field.name == "id"),
            chosen=told.get("bus", ""),
            others=others or [],
            wrong=[field for field in fields if field.wrong],
            ports=serial_ports(),
            channels=channels_of(table) if id_ else (),
            ratios=multiplied(table, shown) if shown else (),
        )

    async def save(self, request: Request, session: Session) -> Response:
        """Judge what was filled in: back to the form with what is wrong, or on to the difference."""
        told = await read_form(request)
        now = await known(self._change.ask)
        id_ = request.path_params.get("id", "")
        if refused := await not_here(self._change, request, session, now, ("device", id_)):
            return refused
        table = now.says("device", id_)
        driver = str(table.get("driver", "")) or told.get("driver", "")
        fields = given(await _fields(driver, now), told)
        if told.get("again") == "yes":
            return await self._form(request, session, now, (id_, driver), fields, told)
        new = id_ or told.get("id", "").strip()
        text = _with_device(now, new, driver, fields, (table, told.get("base", "")))
        bus = next(field.value for field in fields if field.name == "bus.id")
        problems = []
        if not id_ and now.place("device", new) is not None:
            problems.append(taken("device", new, "id"))
        if told.get("bus") == NEW_BUS and now.place("bus", bus) is not None:
            problems.append(taken("bus", bus, "id"))
        if told.get("apply") == "yes" and (not problems or text == now.text):  # the latter: pressed twice
            return await self._change.configure(request, session, text)
        said = await self._change.judge(request, session, text)
        problems += said["problems"]
        if said["outdated"] or not problems:
            return await self._change.configure(request, session, text)
        if told.get("bus") == NEW_BUS:
            problems = [_of_form(problem, new, dotted(("bus", bus))) for problem in problems]
        fields, others = blamed(fields, problems, dotted(("device", new)))
        return await self._form(request, session, now, (id_, driver), fields, told, others)


def _of_form(problem: Mapping[str, Any], device: str, bus: str) -> dict[str, Any]:
    """Return a problem as the form has it, in which a new bus is a part of the device."""
    key = str(problem["key"])
    if key == bus and "is not an id" in problem["wrong"]:
        key += ".id"
    if key == bus or key.startswith(f"{bus}."):
        key = dotted(("device", device, "bus")) + key.removeprefix(bus)
    return {**problem, "key": key}


async def not_here(
    change: Change, request: Request, session: Session, now: Known, what: tuple[str, str]
) -> Response | None:
    """Say why something cannot be edited on a page; None where it can.

    While the files cannot be used their text may not be known, and nothing is made from it.

    Raises:
        RefusedError: a form was sent while they cannot be used, or of something that is not there any more.
    """
    if now.problems and request.method == "POST":  # what was written is kept until they can be used again
        first = now.problems[0]
        raise RefusedError(f"{first['file']}:{first['line']}: {first['wrong']}; {first['remedy']}")
    if now.problems:
        return RedirectResponse("/change", 303)
    place = now.place(*what)
    if not what[1] or (place is not None and not place.secret):
        return None
    if place is None:
        form = request.method == "POST"
        return await gone(change.pages, change.ask, request, session, what, form=form)
    return change.pages.answer(request, "change_secret.html", session=session, place=place)


async def _fields(driver: str, now: Known) -> list[Field]:
    """Return all fields of a device's form, and of the bus that may be made with it."""
    try:
        settings = await asyncio.to_thread(lambda: list(forms.settings_fields(driver)))
    except UnknownDriverError:
        raise HTTPException(404) from None
    bus = [Field("bus.id"), *forms.bus_fields("bus.")]
    return [Field("id", required=True), *forms.device_fields(now.ids("bus")), *settings, *bus]


def taken(*path: str) -> dict[str, Any]:
    """Return the problem that there is one of this id, which stands in a field with this path."""
    found = validation_errors.taken_id(path)
    return {
        "file": "",
        "line": 0,
        "key": dotted(path),
        "wrong": found.wrong,
        "remedy": found.remedy,
    }


def _with_device(
    now: Known, id_: str, driver: str, fields: list[Field], before: tuple[dict[str, Any], str]
) -> str:
    """Return the text of the file with a device as the fields say; keys that have no field stay."""
    table, base = before
    bus = [field for field in fields if field.name.startswith("bus.")]
    own = [field for field in fields if field not in bus and field.name != "id"]
    values = {field.name: field.value for field in fields}
    if values["bus"] == NEW_BUS:
        made: dict[str, Any] = {}
        put(made, bus)
        inner = made.get("bus", {})
        inner.pop("id", None)
        new = now.with_one("bus", values["bus.id"], inner)
        now = now.but(new)
        own = [
            field if field.name != "bus" else given([field], {"bus": values["bus.id"]})[0] for field in own
        ]
    table = {"driver": driver, **table, "settings": {}}
    put(table, own)
    return now.with_one("device", id_, table, base)
