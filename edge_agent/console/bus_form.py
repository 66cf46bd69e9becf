"""The form of one bus, made from the model of a bus."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from edge_agent.bus.ports import serial_ports
from edge_agent.console.change import Change
from edge_agent.console.device_form import not_here, taken
from edge_agent.console.fields import Field, bus_fields
from edge_agent.console.filled import blamed, filled, given, put
from edge_agent.console.form import read_form
from edge_agent.console.known import Known, known
from edge_agent.console.sessions import Session
from edge_agent.settings.validation_errors import dotted


class BusForm:
    """Adds and edits buses, wherever they stand."""

    def __init__(self, change: Change) -> None:
        self._change = change

    async def show(self, request: Request, session: Session) -> Response:
        """Show the form of a bus, or of a new one."""
        now, id_ = await known(self._change.ask), request.path_params.get("id", "")
        if refused := await not_here(self._change, request, session, now, ("bus", id_)):
            return refused
        return self._form(request, session, now, filled(_fields(), now.says("bus", id_)), {})

    def _form(  # noqa: PLR0913, PLR0917 - what the template shows
        self,
        request: Request,
        session: Session,
        now: Known,
        fields: list[Field],
        told: Mapping[str, str],
        others: list[str] | None = None,
    ) -> Response:
        id_ = request.path_params.get("id", "")
        return self._change.pages.answer(
            request,
            "change_bus.html",
            422 if others is not None else 200,
            session=session,
            mark=told.get("mark") or now.mark,
            base=told.get("base") or now.base("bus", id_),
            id=id_,
            place=now.place("bus", id_),
            devices=[device for device in now.ids("device") if now.says("device", device).get("bus") == id_],
            fields=fields[1:],
            id_field=fields[0],
            others=others or [],
            wrong=[field for field in fields if field.wrong],
            ports=serial_ports(),
        )

    async def save(self, request: Request, session: Session) -> Response:
        """Judge what was filled in, as a device's form does."""
        told = await read_form(request)
        now, id_ = await known(self._change.ask), request.path_params.get("id", "")
        if refused := await not_here(self._change, request, session, now, ("bus", id_)):
            return refused
        fields = given(_fields(), told)
        if told.get("again") == "yes":
            return self._form(request, session, now, fields, told)
        new, table = id_ or told.get("id", "").strip(), now.says("bus", id_)
        put(table, [field for field in fields if field.name != "id"])
        text = now.with_one("bus", new, table, told.get("base", ""))
        problems = [taken("bus", new, "id")] if not id_ and now.place("bus", new) is not None else []
        if told.get("apply") != "yes" or (problems and text != now.text):  # the same text: pressed twice
            said = await self._change.judge(request, session, text)
            problems += said["problems"]
            if problems and not said["outdated"]:
                fields, others = blamed(fields, problems, dotted(("bus", new)))
                return self._form(request, session, now, fields, told, others)
        return await self._change.configure(request, session, text)


def _fields() -> list[Field]:
    return [Field("id", required=True), *bus_fields()]
