"""The forms of one device and of its channels, made from its driver's own model of settings."""

import asyncio
import copy
import math
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge_agent import registry
from edge_agent.bus.ports import serial_ports
from edge_agent.console import fields as forms
from edge_agent.console.change import Change, Known, known
from edge_agent.console.fields import NEW_BUS, Field
from edge_agent.console.form import read_form
from edge_agent.console.live import Live
from edge_agent.console.sessions import Session
from edge_agent.driver import Channel
from edge_agent.registry import UnknownDriverError
from edge_agent.settings.device import Device
from edge_agent.settings.edit import with_table
from edge_agent.settings.resolve import channels, opened

_BUS = ("port", "ble", "serial", "direction")
_NEW_ALARM = "new"


class DeviceForm:
    """Adds and edits devices of the console's file."""

    def __init__(self, change: Change, live: Live) -> None:
        self._change, self._live = change, live

    async def show(self, request: Request, session: Session) -> Response:
        """Show the form of a device; of a new one, without a driver, the choice of one."""
        now, id_ = await known(self._change.ask), request.path_params.get("id", "")
        if refused := self._not_ours(request, session, now, id_):
            return refused
        table = now.table("device", id_)
        driver = str(table.get("driver", "")) or request.query_params.get("driver", "")
        if not driver:
            return await self._choose(request, session)
        fields = await _fields(driver, now)
        told = dict(request.query_params)
        filled = forms.filled(fields, table) if id_ else forms.given(fields, told)
        return self._form(request, session, now, (id_, driver), filled, told)

    async def _choose(self, request: Request, session: Session) -> Response:
        entries = await asyncio.to_thread(lambda: [entry for entry in registry.entries() if entry.driver])
        return self._change.pages.answer(request, "change_driver.html", session=session, entries=entries)

    def _not_ours(self, request: Request, session: Session, now: Known, id_: str) -> Response | None:
        """Say kindly that a device is the installer's; None where it is not.

        While the files cannot be used their text is not known, and nothing is made from it.
        """
        if now.problems:
            return RedirectResponse("/change", 303)
        place = now.place("device", id_)
        if not id_ or (place is not None and place.own):
            return None
        if place is None:
            raise HTTPException(404)
        return self._change.pages.answer(
            request, "change_installers.html", session=session, place=place, now=now
        )

    def _form(  # noqa: PLR0913, PLR0917 - what the template shows
        self,
        request: Request,
        session: Session,
        now: Known,
        what: tuple[str, str],
        fields: list[Field],
        told: Mapping[str, str],
        others: list[str] | None = None,
        mark: str = "",
    ) -> Response:
        id_, driver = what
        return self._change.pages.answer(
            request,
            "change_device.html",
            422 if others is not None else 200,
            session=session,
            mark=mark or now.mark,
            id=id_,
            driver=driver,
            title=registry.load(driver).title,
            fields=[field for field in fields if field.name in {"bus", "name", "place", "interval"}],
            settings=[field for field in fields if field.name.startswith("settings.")],
            more=[
                field
                for field in fields
                if field.name not in {"bus", "name", "place", "interval"}
                and not field.name.startswith(("settings.", "bus."))
            ],
            bus=[field for field in fields if field.name.startswith("bus.")],
            told=told,
            others=others or [],
            ports=serial_ports(),
            channels=_channels(now.table("device", id_)) if id_ else (),
        )

    async def save(self, request: Request, session: Session) -> Response:
        """Judge what was filled in: back to the form with what is wrong, or on to the difference."""
        told = await read_form(request)
        now = await known(self._change.ask)
        id_ = request.path_params.get("id", "")
        if refused := self._not_ours(request, session, now, id_):
            return refused
        table = now.table("device", id_)
        driver = str(table.get("driver", "")) or told.get("driver", "")
        fields = forms.given(await _fields(driver, now), told)
        new = id_ or told.get("id", "").strip()
        text = _with_device(now, new, driver, fields, table)
        if told.get("apply") == "yes":
            return await self._change.configure(request, session, text)
        said = await self._change.judge(request, session, text)
        problems = list(said["problems"])
        bus = next(field.value for field in fields if field.name == "bus.id")
        if not id_ and now.place("device", new) is not None:
            problems.insert(0, _taken("device", f"device.{new}.id"))
        if told.get("bus") == NEW_BUS and now.place("bus", bus) is not None:
            problems.insert(0, _taken("bus", f"bus.{bus}.id"))
        if said["outdated"] or not problems:
            return await self._change.configure(request, session, text)
        for problem in problems:  # those of a new bus have fields here, too
            problem["key"] = problem["key"].replace(f"bus.{bus}.", f"device.{new}.bus.", 1)
        fields, others = forms.blamed(fields, problems, f"device.{new}")
        return self._form(request, session, now, (id_, driver), fields, told, others, told.get("mark", ""))

    async def show_channel(self, request: Request, session: Session) -> Response:
        """Show the form of one channel: its name, calibration, limits and alarms."""
        now, id_, channel, table = await self._channel(request)
        told = table.get("channel", {}).get(channel.name, {})
        fields = forms.filled(_channel_fields(channel, told), _without_bounds(told))
        return await self._channel_form(request, session, now, (id_, channel), fields)

    async def _channel(self, request: Request) -> tuple[Known, str, Channel, dict[str, Any]]:
        now, id_ = await known(self._change.ask), request.path_params["id"]
        place = now.place("device", id_)
        table = now.table("device", id_)
        found = [one for one in _channels(table) if one.name == request.path_params["channel"]]
        if place is None or not place.own or not found:
            raise HTTPException(404)
        return now, id_, found[0], table

    async def _channel_form(  # noqa: PLR0913, PLR0917 - what the template shows
        self,
        request: Request,
        session: Session,
        now: Known,
        what: tuple[str, Channel],
        fields: list[Field],
        others: list[str] | None = None,
        mark: str = "",
        told_id: str = "",
    ) -> Response:
        id_, channel = what
        status = await self._live.status()
        device = next((one for one in status.devices if one.id == id_), None)
        value = device.values.get(channel.name) if device else None
        told = now.table("device", id_).get("channel", {}).get(channel.name, {}).get("calibrate", {})
        raw = None
        if isinstance(value, int | float) and not isinstance(value, bool) and "points" not in told:
            raw = (value - told.get("offset", 0)) / told.get("scale", 1)
        return self._change.pages.answer(
            request,
            "change_channel.html",
            422 if others is not None else 200,
            session=session,
            mark=mark or now.mark,
            id=id_,
            channel=channel,
            unit=channel.quantity.unit,
            alarms=sorted({field.name.split(".")[1] for field in fields if field.name.startswith("alarm.")}),
            fields=fields,
            others=others or [],
            value=value,
            raw=raw,
            alarm_id=told_id,
        )

    async def save_channel(self, request: Request, session: Session) -> Response:
        """Judge what was filled in for a channel, as ``save`` does."""
        told = await read_form(request)
        now, id_, channel, table = await self._channel(request)
        before = table.get("channel", {}).get(channel.name, {})
        name = told.get("alarm", "").strip()
        fields = forms.given(_channel_fields(channel, before), told)
        text = with_table(now.text, ("device", id_), _with_channel(table, channel.name, fields, name))
        if told.get("apply") != "yes":
            said = await self._change.judge(request, session, text)
            if said["problems"] and not said["outdated"]:
                for problem in said["problems"]:
                    problem["key"] = problem["key"].replace(f".alarm.{name}", f".alarm.{_NEW_ALARM}", 1)
                place = f"device.{id_}.channel.{channel.name}"
                fields, others = forms.blamed(fields, said["problems"], place)
                return await self._channel_form(
                    request, session, now, (id_, channel), fields, others, told.get("mark", ""), name
                )
        return await self._change.configure(request, session, text)


async def _fields(driver: str, now: Known) -> list[Field]:
    """Return all fields of a device's form, and of the bus that may be made with it."""
    try:
        settings = await asyncio.to_thread(lambda: list(forms.settings_fields(driver)))
    except UnknownDriverError:
        raise HTTPException(404) from None
    bus = [Field(f"bus.{key}") for key in ("id", *_BUS)]
    return [*forms.device_fields(now.ids("bus")), *settings, *bus]


def _taken(what: str, key: str) -> dict[str, Any]:
    wrong = f"there is a {what} of this id already"
    return {"file": "the form", "line": 0, "key": key, "wrong": wrong, "remedy": "write another one"}


def _with_device(now: Known, id_: str, driver: str, fields: list[Field], before: Mapping[str, Any]) -> str:
    """Return the text of the file with a device as the fields say; keys that have no field stay."""
    text, values = now.text, {field.name: field.value for field in fields}
    if values["bus"] == NEW_BUS:
        bus = {key: values[f"bus.{key}"] for key in _BUS if values[f"bus.{key}"]}
        text = with_table(text, ("bus", values["bus.id"]), bus)
        fields = [field if field.name != "bus" else _chosen(field, values["bus.id"]) for field in fields]
    table = {"driver": driver, **copy.deepcopy(dict(before)), "settings": {}}
    forms.put(table, [field for field in fields if not field.name.startswith("bus.")])
    return with_table(text, ("device", id_), table)


def _chosen(field: Field, bus: str) -> Field:
    return forms.given([field], {field.name: bus})[0]


def _channels(table: Mapping[str, Any]) -> tuple[Channel, ...]:
    """Return what a device of the file reports; nothing where it cannot be opened."""
    try:
        return channels(*opened(Device.model_validate(table)))
    except (ValidationError, UnknownDriverError, ValueError):
        return ()


def _channel_fields(channel: Channel, told: Mapping[str, Any]) -> list[Field]:
    kind = channel.quantity.kind
    alarms = [*told.get("alarm", {}), _NEW_ALARM]
    return [
        *forms.channel_fields(kind),
        *(field for alarm in alarms for field in forms.alarm_fields(alarm, kind)),
    ]


def _without_bounds(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a channel's table, in which no bound is no value."""
    bounds = [None if math.isinf(bound) else bound for bound in told.get("plausible", ())]
    return {**told, "plausible": bounds}


def _with_channel(table: Mapping[str, Any], name: str, fields: list[Field], alarm: str) -> dict[str, Any]:
    """Return a device's table with one channel as the fields say, and a new alarm under its name."""
    made = copy.deepcopy(dict(table))
    channel = made.setdefault("channel", {}).setdefault(name, {})
    channel.pop("plausible", None)
    forms.put(channel, fields)
    if bounds := channel.get("plausible"):
        channel["plausible"] = [bounds.get("0", -math.inf), bounds.get("1", math.inf)]
    alarms = channel.get("alarm", {})
    if _NEW_ALARM in alarms and alarm:
        alarms[alarm] = alarms.pop(_NEW_ALARM)
    if not channel:
        del made["channel"][name]
    if not made["channel"]:
        del made["channel"]
    return made
