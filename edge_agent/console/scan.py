"""Find devices from the page: one scan at a time; what is found fills the form of a new device."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge_agent.bus.ports import lasting, medium, serial_ports
from edge_agent.console.fields import NEW_BUS
from edge_agent.console.form import read_form
from edge_agent.console.known import Known, known
from edge_agent.console.overview import Ask
from edge_agent.console.page import Pages
from edge_agent.console.sessions import Session
from edge_agent.control.protocol import RefusedError
from edge_agent.onsite.toml_text import id_of
from edge_agent.text import formatting

_MOST_VALUES = 8
_LAST = 247
_LONGEST_NUMBER = 9  # digits
_USUAL_S, _LONGEST_S = 30, 300
_ADDRESS_END = 5  # of "A4:C1:38:00:11:22", which is on many labels


@dataclass(slots=True)
class _Scan:
    """The one that runs, or ran last. ``where`` is a port or an adapter; ``told`` is what the form said.

    One on the air lasts ``seconds`` from ``begun`` on, and has nothing else to tell of how far it is.
    """

    where: str
    air: bool
    told: Mapping[str, str]
    seconds: float = 0.0
    begun: float = field(default_factory=time.monotonic)
    task: asyncio.Task[None] | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)
    found: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    wrong: str = ""

    @property
    def runs(self) -> bool:
        return self.task is not None and not self.task.done()

    @property
    def done(self) -> float:
        return (
            min(time.monotonic() - self.begun, self.seconds) if self.air else self.progress.get("done", 0.0)
        )

    @property
    def total(self) -> float:
        return self.seconds if self.air else self.progress.get("total", 0.0)


@dataclass(frozen=True, slots=True)
class Fit:
    """A model that fits what was found: what it says, what is in doubt of it, and the way to its form."""

    model: str
    driver: str
    values: tuple[str, ...]
    doubts: tuple[str, ...]
    link: str


@dataclass(frozen=True, slots=True)
class Find:
    """One thing that a scan found, and what ``fits``.

    ``known`` is the device of the configuration that it is; "" where none has its address.
    """

    who: tuple[str, ...]
    known: str
    fits: tuple[Fit, ...]


class Scans:
    """The page with a scan."""

    def __init__(self, pages: Pages, ask: Ask) -> None:
        self._pages, self._ask = pages, ask
        self._scan: _Scan | None = None

    async def show(self, request: Request, session: Session) -> Response:
        """Show how far it is, what was found, and a form for the next one."""
        return await self._page(request, session)

    async def _page(self, request: Request, session: Session, wrong: str = "") -> Response:
        scan, now = self._scan, await known(self._ask)
        finds = [_find(scan, one, now) for one in scan.found] if scan else []
        ports = dict.fromkeys(
            [at for at in now.buses().values() if "/" in at] + [port.name for port in serial_ports()]
        )
        return self._pages.answer(
            request,
            "change_scan.html",
            422 if wrong else 200,
            session=session,
            scan=scan,
            place=_place(scan, now) if scan else "",
            finds=sorted(finds, key=lambda find: bool(find.known)),
            ports=list(ports),
            told=scan.told if scan else {},
            wrong=wrong,
        )

    async def begin(self, request: Request, session: Session) -> Response:
        """Begin one."""
        told = await read_form(request)
        if self._scan is not None and self._scan.runs:
            return RedirectResponse("/change/scan", 303)
        if told.get("kind") == "ble":
            scan = _Scan(told.get("adapter", "").strip(), air=True, told=told)
            scan.seconds = min(_whole(told.get("seconds", "")), _LONGEST_S) or _USUAL_S
            verb, args = "scan_ble", dict[str, Any](adapter=scan.where, seconds=int(scan.seconds))
        else:
            scan = _Scan(told.get("port", "").strip(), air=False, told=told)
            first, last = (_whole(told.get(key, "")) for key in ("first", "last"))
            if not 1 <= first <= last <= _LAST:
                return await self._page(request, session, "addresses")
            speeds = [part.strip() for part in told.get("speeds", "").split(",") if part.strip()]
            verb = "scan"
            args = {"port": scan.where, "speeds": speeds, "by": session.user}
            args["addresses"] = list(range(first, last + 1))
        if not scan.where:
            raise HTTPException(400)
        scan.task = asyncio.create_task(self._run(scan, verb, args), name="console.scan")
        self._scan = scan
        return RedirectResponse("/change/scan", 303)

    async def end(self, _request: Request, _session: Session) -> Response:
        """End it; what was found so far stays."""
        if self._scan is not None and self._scan.task is not None:
            self._scan.task.cancel()
            await asyncio.wait((self._scan.task,))
        return RedirectResponse("/change/scan", 303)

    async def _run(self, scan: _Scan, verb: str, args: Mapping[str, Any]) -> None:
        async def tell(progress: Mapping[str, Any]) -> None:
            scan.progress, scan.found = progress, progress["found"]

        try:
            said = await self._ask(verb, args, tell)
        except RefusedError as error:
            scan.wrong = str(error)
        else:
            scan.found, scan.notes = said["found"], said.get("notes", ())


def _whole(text: str) -> int:
    """Return the number that somebody wrote; 0 where it is none, or none that a form asks for."""
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) <= _LONGEST_NUMBER else 0


def _find(scan: _Scan, one: Mapping[str, Any], now: Known) -> Find:
    told = (one["address"], one["name"], f"{one['signal']} dBm") if scan.air else (one["serial"], one["who"])
    here = [bus for bus, at in now.buses().items() if _is_at(at, scan)]
    addresses = {_address(one)} if scan.air else {_address(fit["settings"]) for fit in one["fits"]}
    same = (
        place.id
        for place in now.places
        if place.says
        and place.says.get("bus") in here
        and _address(place.says.get("settings", {})) in addresses
    )
    return Find(told, next(same, ""), tuple(_fit(scan, one, fit, here) for fit in one["fits"]))


def _place(scan: _Scan, now: Known) -> str:
    """Return what people call the place of a scan: the bus there, or the port."""
    return next((bus for bus, at in now.buses().items() if _is_at(at, scan)), scan.where)


def _address(of: Mapping[str, Any]) -> str:
    """Return by what a device is told from others on its bus; that of a device alone on its bus is ""."""
    return str(of.get("address", "")).upper()


def _fit(scan: _Scan, one: Mapping[str, Any], fit: Mapping[str, Any], here: Sequence[str]) -> Fit:
    """Return what fits, with the address of a form that is filled with it."""
    settings = {"address": one["address"]} if scan.air else fit["settings"]
    end = one["address"][-_ADDRESS_END:].replace(":", "") if scan.air else str(one["who"]).rpartition(" ")[2]
    what = str(settings.get("profile", fit["driver"]))
    told = {"driver": fit["driver"], "id": id_of(f"{what}-{end}", "device")}
    told |= {f"settings.{key}": str(value) for key, value in settings.items()}
    if scan.air:
        told["interval"] = "60s"
    if here:
        told["bus"] = here[0]
    elif scan.air:
        told |= {"bus": NEW_BUS, "bus.id": "radio", "bus.ble": scan.where}
    else:
        port = lasting(scan.where)
        name = id_of(port.rstrip("/").rpartition("/")[2], "bus")
        told |= {"bus": NEW_BUS, "bus.id": name, "bus.port": port, "bus.serial": one["serial"]}
    values = [f"{channel} {formatting.with_unit(*said)}" for channel, said in fit["values"].items()]
    doubts = (*fit.get("doubts", ()), *filter(None, [fit.get("problem", "")]))
    model, link = str(fit.get("model") or what), f"/change/device?{urlencode(told)}"
    return Fit(model, str(fit["driver"]), tuple(values[:_MOST_VALUES]), doubts, link)


def _is_at(place: str, scan: _Scan) -> bool:
    """Say whether a bus at a port or an adapter is what was scanned."""
    if scan.air or "/" not in place:
        return place == scan.where
    return medium(place) == medium(scan.where)
