"""``edge-agent scan``: find what is connected to a port, or near an adapter."""

from collections.abc import Iterator
from dataclasses import asdict
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from edge_agent.cli import scan_ble
from edge_agent.cli.borrowed_port import with_port
from edge_agent.cli.completion import ports
from edge_agent.cli.options import duration_option
from edge_agent.cli.say import say, tell
from edge_agent.cli.verb_exit import INTERRUPTED, stop, until_stopped
from edge_agent.text.formatting import plain
from edge_agent.text.language import tr
from edge_agent.text.translation import translated

if TYPE_CHECKING:
    from edge_agent.onsite.scan import Found, Scan, Step

scan = typer.Typer(no_args_is_help=True, help=tr("Find devices. A scan only reads."))

_WITHIN = "200ms"
_LAST_UNIT = 255


@scan.callback()
def _scan() -> None:
    """Find devices. A scan only reads."""


scan.command()(scan_ble.ble)


@scan.command()
def serial(  # noqa: PLR0913 - one parameter for each option
    port: Annotated[
        str | None,
        typer.Argument(help=tr("The port; without it the ports are listed."), autocompletion=ports),
    ] = None,
    *,
    speeds: Annotated[
        str,
        typer.Option(metavar="LIST", help=tr('Serial formats to try, such as "9600 8N1, 2400 8E1, 19200".')),
    ] = "",
    addresses: Annotated[
        str, typer.Option(metavar="LIST", help=tr("Modbus addresses to ask, such as 1-247 or 1,7,20-29."))
    ] = "1-32",
    driver: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help=tr("Only look for this driver's devices; may be given again.")),
    ] = None,
    within: Annotated[
        str, typer.Option(metavar="DURATION", help=tr("How long a device may take to answer."))
    ] = _WITHIN,
    fast: Annotated[
        bool,
        typer.Option("--fast", help=tr("Stop after the first serial format in which something is found.")),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=tr("For programs."))] = False,
    as_toml: Annotated[bool, typer.Option("--toml", help=tr("Print a configuration to begin with."))] = False,
) -> None:
    """Find devices on a serial port: listen first, then ask in one serial format after the other.

    Only requests to read are sent. Ctrl-C ends it and shows what was found so far. Ends with 0 when something
    was found, 1 when not, 2 when it cannot be done.

    PORT is a serial device, or socket://, rfc2217:// or modbus-tcp:// with host and port; where the serial
    format is a matter of the far end, the one that is shown is assumed.

    Example: edge-agent scan serial /dev/ttyUSB0 --speeds "9600 8N1" --addresses 1-10
    """
    from edge_agent.bus.address import Address  # noqa: PLC0415 - `edge-agent --help` need not wait for it
    from edge_agent.bus.remedy import why_untried  # noqa: PLC0415 - as above
    from edge_agent.bus.serial import BusError  # noqa: PLC0415 - as above
    from edge_agent.onsite.plan import DEVICE_LIMIT, plan_scan  # noqa: PLC0415 - as above
    from edge_agent.onsite.scan import Scan  # noqa: PLC0415 - as above
    from edge_agent.registry import UnknownDriverError  # noqa: PLC0415 - as above

    if port is None:
        _list_ports(as_json=as_json)
        return
    if as_json and as_toml:
        stop("--json and --toml cannot be given together; choose one", as_json=True)
    seconds = duration_option("--within", within, as_json=as_json)
    if not seconds:
        stop("--within is no time at all; give more, such as 200ms", as_json=as_json)
    try:
        kind = Address.parse(port).kind
        plan = plan_scan(driver or [], read_formats(speeds), read_addresses(addresses), seconds, kind)
    except (UnknownDriverError, ValueError) as error:
        stop(str(error), as_json=as_json)
    if kind == "tty" and (why := why_untried(port)):
        stop(why, as_json=as_json)
    with Shown(quiet=as_json or as_toml) as shown:
        work = Scan(port, plan, fast=fast, tell=shown.step)
        shown.line(
            tr(
                "scanning {port}: serial formats: {number}, addresses: {addresses}; takes at most {time}, "
                "and up to {limit:g} s for each device found; Ctrl-C ends it",
                port=port,
                number=len(plan.asking),
                addresses=addresses,
                time=_time(plan.seconds),
                limit=DEVICE_LIMIT,
            )
        )
        lost, ended = "", True
        try:
            ended = until_stopped(with_port(port, "scan", work.run))
        except BusError as error:
            lost = str(error)
    if work.found or not lost:
        _print(port, work, as_json=as_json, as_toml=as_toml)
    if lost:
        stop(lost, as_json=as_json)
    if not ended:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(0 if work.found else 1)


class Shown:
    """What is tried now: a bar on a terminal, else a line for each serial format. Always on stderr."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console  # noqa: PLC0415 - slow to load, and not for --help
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

        self._quiet = quiet
        self._console = Console(stderr=True)
        self._live = self._console.is_terminal
        self._said = ""
        columns = (BarColumn(), TextColumn("{task.description}"), TextColumn("{task.fields[left]}"))
        self._progress = Progress(*columns, console=self._console, transient=True, disable=not self._live)
        self._task = self._progress.add_task("", left="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def line(self, text: str) -> None:
        """Print a line beside it."""
        if self._live or not self._quiet:
            self._console.print(plain(text), markup=False, highlight=False, soft_wrap=True)

    def step(self, step: "Step") -> None:
        """Show how far it is."""
        left = tr("at most {time} left", time=_time(step.total - step.done))
        self._progress.start()  # not before: from here on Ctrl-C gives the terminal back
        self._progress.update(
            self._task, completed=step.done, total=step.total, description=step.doing, left=left
        )
        serial = step.doing.partition(":")[0]
        if not self._live and serial != self._said:
            self._said = serial
            self.line(f"{serial} ... {left}")


def _print(port: str, work: "Scan", *, as_json: bool, as_toml: bool) -> None:
    from edge_agent.bus.ports import lasting  # noqa: PLC0415 - as above
    from edge_agent.onsite.snippet import snippet  # noqa: PLC0415 - as above

    if as_json:
        found = {
            "port": port,
            "complete": work.complete,
            "found": [asdict(one) for one in work.found],
            "notes": work.notes,
        }
        tell(found)
        return
    if as_toml:
        say(snippet(lasting(port), work.found), end="")
    else:
        for one in work.found:
            say("\n".join(_lines(one)), filled=True)
    if not work.found:
        say(
            tr(
                "nothing was found on {port}{so_far}",
                port=port,
                so_far="" if work.complete else tr(" so far"),
            ),
            error=as_toml,
        )
    for note in work.notes:
        say(tr("note: {note}", note=note), error=as_toml, filled=True)
    if not work.complete:
        say(tr("note: the scan was stopped before its end"), error=as_toml)
    if not work.found and work.complete:
        say(
            tr(
                "check power, A and B, and the device's own settings; try more with --addresses 1-247, "
                "other --speeds, or --within 1s"
            ),
            error=as_toml,
            filled=True,
        )


def _lines(one: "Found") -> Iterator[str]:
    yield f"{one.serial}  {one.who or tr('speaks unasked')}"
    if not one.fits:
        yield tr("    answers, and no driver or profile fits; `edge-agent drivers` lists those there are")
    for word, fit in zip(("fits:", *("or:",) * len(one.fits)), one.fits, strict=False):
        settings = " ".join(f"{key}={value}" for key, value in fit.settings.items())
        yield f"    {word:6}{fit.driver} {settings}  ({translated(fit.model)})"
        yield tr("          values: {values}", values=fit.shown_values())
        yield from (tr("          in doubt: {doubt}", doubt=doubt) for doubt in fit.doubts)


def _list_ports(*, as_json: bool) -> None:
    from edge_agent.bus.ports import serial_ports  # noqa: PLC0415 - as above

    ports = serial_ports()
    if as_json:
        tell({"ports": [asdict(port) for port in ports]})
    elif ports:
        for port in ports:
            tty = f"  {port.tty}" if port.tty != port.name else ""
            say(f"{port.name}{tty}  {port.adapter}".rstrip())
        say(tr("scan one with: edge-agent scan serial {name}", name=ports[0].name))
    else:
        say(tr("there is no serial port; plug in an adapter"), error=True)
    if not ports:
        raise typer.Exit(1)


def read_formats(text: str) -> list[Any]:
    """Read ``--speeds``: a speed alone means without parity, and with an even one.

    Raises:
        ValueError: one of them is none.
    """
    from edge_agent.bus.serial import SerialFormat  # noqa: PLC0415 - as above

    formats = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        forms = [f"{word} 8N1", f"{word} 8E1"] if word.isdigit() else [word]
        formats += [SerialFormat.parse(form) for form in forms]
    return formats


def read_addresses(text: str) -> list[int]:
    """Read ``--addresses``.

    Raises:
        ValueError: it is no list of addresses.
    """
    found: dict[int, None] = {}
    for word in text.split(","):
        first, dash, last = word.strip().partition("-")
        try:
            low, high = int(first), int(last if dash else first)
        except ValueError:
            raise ValueError(
                f"--addresses {text!r} is no list of addresses; write 1-32 or 1,7,20-29"
            ) from None
        if not 1 <= low <= high <= _LAST_UNIT:
            raise ValueError(f"--addresses {word.strip()!r}: Modbus addresses are 1 to 247")
        found |= dict.fromkeys(range(low, high + 1))
    return list(found)


def _time(seconds: float) -> str:
    return f"{ceil(seconds)} s" if seconds < 100 else tr("{minutes} min", minutes=ceil(seconds / 60))  # noqa: PLR2004 - readable
