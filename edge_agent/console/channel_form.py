"""The form of one channel of a device: its name, calibration, limits, alarms, and when it is reported."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from edge_agent.console.change import Change
from edge_agent.console.device_form import not_here, taken
from edge_agent.console.fields import NEW_ALARM, Field, alarm_fields, channel_fields
from edge_agent.console.filled import blamed, filled, given, grouped, put
from edge_agent.console.form import read_form
from edge_agent.console.gone import gone
from edge_agent.console.known import Known, known
from edge_agent.console.live import Live
from edge_agent.console.preview import channels_of, raw_of
from edge_agent.console.sessions import Session
from edge_agent.driver import Channel
from edge_agent.settings.validation_errors import dotted

_ALARM_ID = "alarm_id"


class ChannelForm:
    """Edits the channels of devices, wherever these stand."""

    def __init__(self, change: Change, live: Live) -> None:
        self._change, self._live = change, live

    async def show(self, request: Request, session: Session) -> Response:
        """Show the form of a channel."""
        now = await known(self._change.ask)
        if refused := await not_here(
            self._change, request, session, now, ("device", request.path_params["id"])
        ):
            return refused
        if (of := _channel(request, now)) is None:
            return await self._gone(request, session)
        channel, before = of
        return await self._form(request, session, now, channel, filled(_fields(channel, before), before), {})

    async def _gone(self, request: Request, session: Session) -> Response:
        """Say that its device has no such channel."""
        what, form = ("channel", request.path_params["channel"]), request.method == "POST"
        return await gone(self._change.pages, self._change.ask, request, session, what, form=form)

    async def _form(  # noqa: PLR0913, PLR0917 - what the template shows
        self,
        request: Request,
        session: Session,
        now: Known,
        channel: Channel,
        fields: list[Field],
        told: Mapping[str, str],
        others: list[str] | None = None,
    ) -> Response:
        id_ = request.path_params["id"]
        status = await self._live.status()
        device = next((one for one in status.devices if one.id == id_), None)
        value = device.values.get(channel.name) if device else None
        before = now.says("device", id_).get("channel", {}).get(channel.name, {})
        return self._change.pages.answer(
            request,
            "change_channel.html",
            422 if others is not None else 200,
            session=session,
            mark=told.get("mark") or now.mark,
            base=told.get("base") or now.base("device", id_),
            id=id_,
            channel=channel,
            unit=channel.quantity.unit,
            groups=grouped(field for field in fields if not field.name.startswith("alarm")),
            alarms={
                name: [field for field in fields if field.name.startswith(f"alarm.{name}.")]
                for name in (*before.get("alarm", {}), NEW_ALARM)
            },
            alarm_id=next(field for field in fields if field.name == _ALARM_ID),
            others=others or [],
            wrong=[field for field in fields if field.wrong],
            value=value,
            raw=raw_of(value, before.get("calibrate", {})),
        )

    async def save(self, request: Request, session: Session) -> Response:
        """Judge what was filled in, as a device's form does."""
        told = await read_form(request)
        now, id_ = await known(self._change.ask), request.path_params["id"]
        if refused := await not_here(self._change, request, session, now, ("device", id_)):
            return refused
        if (of := _channel(request, now)) is None:
            return await self._gone(request, session)
        channel, before = of
        fields = given(_fields(channel, before), told)
        if told.get("again") == "yes":
            return await self._form(request, session, now, channel, fields, told)
        name = told.get(_ALARM_ID, "").strip()
        table = _with_channel(now.says("device", id_), channel.name, fields, name)
        text = now.with_one("device", id_, table, told.get("base", ""))
        if told.get("apply") != "yes":
            said = await self._change.judge(request, session, text)
            place = ("device", id_, "channel", channel.name)
            problems = list(_of_form(said["problems"], dotted((*place, "alarm")), dotted((name,))))
            if name in before.get("alarm", {}):
                problems.insert(0, taken(*place, _ALARM_ID))
            if problems and not said["outdated"]:
                found = blamed(fields, problems, dotted(place))
                return await self._form(request, session, now, channel, found[0], told, found[1])
        return await self._change.configure(request, session, text)


def _of_form(problems: Iterable[Mapping[str, Any]], alarms: str, name: str) -> Iterator[dict[str, Any]]:
    """Return problems as the form has it, in which a new alarm has no name yet."""
    own = f"{alarms}.{name}"
    for problem in problems:
        key = str(problem["key"])
        if key == own and "is not an id" in problem["wrong"]:
            key = f"{alarms}_id"
        elif key == own or key.startswith(f"{own}."):
            key = f"{alarms}.{NEW_ALARM}{key.removeprefix(own)}"
        yield {**problem, "key": key}


def _channel(request: Request, now: Known) -> tuple[Channel, dict[str, Any]] | None:
    """Return the channel of a request, and its table; None where its device has none of this name."""
    table = now.says("device", request.path_params["id"])
    for channel in channels_of(table):
        if channel.name == request.path_params["channel"]:
            return channel, table.get("channel", {}).get(channel.name, {})
    return None


def _fields(channel: Channel, told: Mapping[str, Any]) -> list[Field]:
    """Return all; that of the name of an alarm is the one for a new one."""
    alarms = [*told.get("alarm", {}), NEW_ALARM]
    return [
        *channel_fields(channel.quantity, told),
        Field(_ALARM_ID),
        *(field for alarm in alarms for field in alarm_fields(alarm, channel.quantity)),
    ]


def _with_channel(table: dict[str, Any], name: str, fields: list[Field], alarm: str) -> dict[str, Any]:
    """Return a device's table with one channel as the fields say, and a new alarm under its name."""
    channel = table.setdefault("channel", {}).setdefault(name, {})
    put(channel, [field for field in fields if field.name != _ALARM_ID])
    alarms = channel.get("alarm", {})
    if NEW_ALARM in alarms:
        alarms[alarm] = alarms.pop(NEW_ALARM)
    if not channel:
        del table["channel"][name]
    if not table["channel"]:
        del table["channel"]
    return table
