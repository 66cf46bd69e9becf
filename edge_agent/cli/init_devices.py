"""How ``init`` finds devices: scans what is plugged in, and asks which of them to take over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.cli.dialog import Dialog, keep_secret
from edge_agent.cli.say import say
from edge_agent.cli.scan import Shown, read_addresses, read_formats
from edge_agent.cli.verb_exit import stop, until_stopped
from edge_agent.onsite.wanted import Wanted, from_air, from_line
from edge_agent.text.language import tr
from edge_agent.text.translation import translated

if TYPE_CHECKING:
    from edge_agent.onsite.scan import Found
    from edge_agent.onsite.senders import Senders

_WITHIN_S = 0.2
_LISTEN_S = 30.0
_BLUETOOTH = Path("/sys/class/bluetooth")


@dataclass(frozen=True, slots=True)
class Where:
    """What is scanned: ports, in these serial formats (none: the usual ones) at these addresses, adapters."""

    ports: Sequence[str]
    adapters: Sequence[str]
    speeds: str = ""
    addresses: str = "1-32"


def found_devices(dialog: Dialog, where: Where, taken: list[Wanted]) -> None:
    """Scan ports and adapters, and add to ``taken`` what is to be in the configuration."""
    for port in where.ports:
        for one in _scanned(port, where):
            _offer_line(dialog, port, one, taken)
    for adapter in where.adapters:
        _offer_air(dialog, adapter, _heard(adapter), taken)


def choose(dialog: Dialog) -> tuple[list[str], list[str]]:
    """Ask which ports and adapters of this machine to scan."""
    from edge_agent.bus.ports import serial_ports  # noqa: PLC0415 - not for --help

    if dialog.yes:
        return [], []
    ports = [
        port.name
        for port in serial_ports()
        if dialog.agreed(
            tr("Look for devices on {port}?", port=f"{port.name} {port.adapter}".rstrip()),
            default=True,
        )
    ]
    there = sorted(path.name for path in _BLUETOOTH.glob("hci*") if ":" not in path.name)
    adapters = [
        one
        for one in there
        if dialog.agreed(tr("Listen for BLE devices on {adapter}, 30 s?", adapter=one), default=False)
    ]
    return ports, adapters


def _scanned(port: str, where: Where) -> "list[Found]":
    from edge_agent.bus.address import Address  # noqa: PLC0415 - as above
    from edge_agent.bus.serial import BusError  # noqa: PLC0415 - as above
    from edge_agent.onsite.plan import plan_scan  # noqa: PLC0415 - as above
    from edge_agent.onsite.scan import Scan  # noqa: PLC0415 - as above

    try:
        plan = plan_scan(
            [],
            read_formats(where.speeds),
            read_addresses(where.addresses),
            _WITHIN_S,
            Address.parse(port).kind,
        )
    except ValueError as error:
        stop(f"{port}: {error}")
    with Shown(quiet=False) as shown:
        work = Scan(port, plan, fast=True, tell=shown.step)
        shown.line(
            tr(
                "scanning {port}, at most {seconds:.0f} s; Ctrl-C goes on with what was found so far",
                port=port,
                seconds=plan.seconds,
            )
        )
        try:
            until_stopped(work.run())
        except BusError as error:
            say(str(error), error=True, filled=True)
    if not work.found:
        say(tr("nothing was found on {port}; `edge-agent scan serial {port}` can look further", port=port))
    return work.found


def _offer_line(dialog: Dialog, port: str, found: "Found", taken: list[Wanted]) -> None:
    from edge_agent.bus.ports import lasting  # noqa: PLC0415 - as above

    where = tr("{who} at {serial}", who=found.who or tr("speaks unasked"), serial=found.serial)
    if not found.fits:
        say(tr("{where}: answers, and no driver or profile fits; left out", where=where))
        return
    say(f"{where}:")
    for number, fit in enumerate(found.fits, 1):
        say(f"  {number}. {fit.name} ({translated(fit.model)}): {fit.shown_values()}", filled=True)
    choice = 1
    if len(found.fits) > 1:
        known = [str(number) for number in range(1, len(found.fits) + 1)]
        asked = dialog.text(
            f"fit of {found.who} at {found.serial}",
            tr("  Which is it? Compare with what the device shows"),
            "1",
            _one_of(known),
        )
        choice = int(asked)
    wanted = from_line(lasting(port), found, choice - 1)
    _take(dialog, wanted, taken)


def _one_of(known: list[str]) -> Callable[[str], None]:
    def check(text: str) -> None:
        if text not in known:
            raise ValueError(f"is none of {', '.join(known)}")

    return check


def _heard(adapter: str) -> "Senders":
    from edge_agent.cli.scan_ble import radio_for  # noqa: PLC0415 - as above
    from edge_agent.onsite.senders import Senders  # noqa: PLC0415 - as above

    senders = Senders()
    radio = radio_for(adapter, senders)
    say(
        tr(
            "listening on {adapter} for {seconds:g} s; Ctrl-C goes on with what was heard so far",
            adapter=adapter,
            seconds=_LISTEN_S,
        )
    )
    until_stopped(radio.run(), _LISTEN_S)
    if radio.problem:
        say(f"{adapter}: {radio.problem}", error=True, filled=True)
    return senders


def _offer_air(dialog: Dialog, adapter: str, senders: "Senders", taken: list[Wanted]) -> None:
    from edge_agent.onsite.senders import best, nearest_first  # noqa: PLC0415 - as above

    for sender in nearest_first(senders.known):
        known = best(sender)
        say(f"{sender.address} {sender.name}: {known.title}, {known.shown_values()}", filled=True)
        wanted = from_air(adapter, sender, known)
        if _take(dialog, wanted, taken) and known.needs_key:
            secret = f"{wanted.id}-key"
            if key := dialog.secret(tr("  Its key, 32 hex digits (Enter: later)")):
                keep_secret(secret, key)
            wanted.settings["bindkey"] = {"secret": secret}


def _take(dialog: Dialog, wanted: Wanted, taken: list[Wanted]) -> bool:
    """Ask whether, and under which id and name."""
    if not dialog.agreed(tr("  Take it over?"), default=True):
        return False
    ids = {one.id for one in taken}
    plain, number = wanted.id, 2
    while wanted.id in ids:
        wanted.id, number = f"{plain}-{number}", number + 1
    if not dialog.yes:
        wanted.id = dialog.text(
            f"id of {wanted.id}", tr("  Id, which stands in every topic"), wanted.id, _free(ids)
        )
        wanted.name = dialog.text(f"name of {wanted.id}", tr("  Name, for people"), optional=True)
    taken.append(wanted)
    dialog.remember("device", "\n".join(map(str, taken)))
    return True


def check_id(text: str) -> None:
    """Raise ValueError for what is no id."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - as above

    from edge_agent.settings.field_types import Id  # noqa: PLC0415 - as above

    try:
        TypeAdapter(Id).validate_python(text)
    except ValidationError as error:
        raise ValueError(str(error.errors()[0]["ctx"]["error"])) from None


def _free(ids: set[str]) -> Callable[[str], None]:
    def check(text: str) -> None:
        check_id(text)
        if text in ids:
            raise ValueError(f"{text!r} is another device's; each has its own")

    return check
