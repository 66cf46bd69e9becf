"""``edge-agent listen``: show what passes on a port, decoded where it can be."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.borrowed_port import with_port
from edge_agent.cli.completion import ports
from edge_agent.cli.options import duration_option
from edge_agent.cli.say import say, tell
from edge_agent.cli.verb_exit import stop, until_stopped
from edge_agent.text.language import tr

if TYPE_CHECKING:
    from edge_agent.bus.serial import SerialFormat
    from edge_agent.onsite.dissect import Known, Passed

_QUIET = 0.3  # seconds after which a frame that is not whole will not become so


def listen(  # noqa: PLR0913 - one parameter for each option
    port: Annotated[
        str,
        typer.Argument(
            help=tr("The port; `edge-agent scan serial` lists those there are."), autocompletion=ports
        ),
    ],
    *,
    driver: Annotated[str, typer.Option(help=tr("Decode with this driver alone, and show its faults."))] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=tr("A setting of the driver."))
    ] = None,
    speed: Annotated[
        str, typer.Option(metavar="FORMAT", help=tr("Serial format; else the driver's, else 9600 8N1."))
    ] = "",
    for_: Annotated[
        str, typer.Option("--for", metavar="DURATION", help=tr('End by itself, such as "30s"; else Ctrl-C.'))
    ] = "",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help=tr("Show the bytes of frames, too."))
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=tr("A JSON object per frame."))] = False,
) -> None:
    """Listen to a port and show every frame as it comes; nothing is sent.

    Without a driver, all that speaks unasked is known, and the talk of another Modbus or DL/T 645 master
    with its devices. The rest is shown in hex. Ends with 0 when a frame was told, 1 when none was.

    Example: edge-agent listen /dev/ttyUSB0 --speed "9600 8N1" --for 30s
    """
    from edge_agent.bus.address import Address  # noqa: PLC0415 - `edge-agent --help` need not wait for it
    from edge_agent.bus.serial import BusError  # noqa: PLC0415 - as above
    from edge_agent.onsite.dissect import Dissector  # noqa: PLC0415 - as above
    from edge_agent.registry import UnknownDriverError  # noqa: PLC0415 - as above

    seconds = duration_option("--for", for_, as_json=as_json)
    try:
        address = Address.parse(port)
        known, form = _known(driver, settings or [], speed)
    except (UnknownDriverError, ValueError) as error:
        stop(str(error), as_json=as_json)
    dissector = Dissector(known)
    understood = 0

    def show(at: float, passed: "Iterable[Passed]") -> None:
        nonlocal understood
        for one in passed:
            understood += bool(one.who)
            tell(_as_json(at, one)) if as_json else say(_line(at, one, verbose=verbose))

    async def work() -> None:
        from edge_agent.bus.stream import open_stream  # noqa: PLC0415 - as above

        loop = asyncio.get_running_loop()
        stream = await open_stream(address, form)
        start = loop.time()
        try:
            while True:
                piece = await stream.read(loop.time() + _QUIET)
                show(loop.time() - start, dissector.feed(piece) if piece else dissector.quiet())
        finally:
            stream.close()
            show(loop.time() - start, dissector.quiet())

    say(tr("listening to {port} at {form}; Ctrl-C ends it", port=port, form=form), error=True)
    try:
        until_stopped(with_port(port, "listen", work), seconds)
    except BusError as error:
        stop(str(error), as_json=as_json)
    raise typer.Exit(0 if understood else 1)


def _known(name: str, settings: list[str], speed: str) -> "tuple[list[Known], SerialFormat]":
    from edge_agent import registry  # noqa: PLC0415 - as above
    from edge_agent.bus.serial import SerialFormat  # noqa: PLC0415 - as above
    from edge_agent.cli.set_option import UsageError, pairs, settings_of  # noqa: PLC0415 - as above
    from edge_agent.driver import Over  # noqa: PLC0415 - as above
    from edge_agent.onsite.dissect import Asked, Modbus, Unasked  # noqa: PLC0415 - as above
    from edge_agent.onsite.plan import candidates, factory  # noqa: PLC0415 - as above

    chosen = pairs(settings)
    if chosen and not name:
        raise UsageError("--set is a setting of one driver; name it with --driver")
    usual = "9600 8N1"
    known: list[Known] = []
    drivers = (
        [(name, registry.load(name))]
        if name
        else [(entry.name, entry.driver) for entry in registry.entries() if entry.driver]
    )
    for driver_name, record in drivers:
        if record.over is Over.STREAM and record.cut:
            tried = [settings_of(driver_name, record.settings, chosen)] if chosen else candidates(record, 0)
            for one in tried:
                known.append(Unasked(driver_name, record, one, alone=bool(name)))
                usual = factory(record, one) or usual if name else usual
        elif record.over is Over.LINE and record.cut:
            known.append(Asked(driver_name, record))
            usual = next(iter(record.probe.formats), usual) if name and record.probe else usual
        elif record.over is Over.REGISTERS and not any(isinstance(one, Modbus) for one in known):
            known.append(Modbus())
    if chosen and not any(isinstance(one, Unasked) for one in known):
        raise UsageError(f"driver {name} needs no settings to listen; leave out --set")
    if not known:
        raise UsageError(
            f"driver {name} tells nothing by listening; leave out --driver, or read it with `edge-agent read`"
        )
    return known, SerialFormat.parse(speed or usual)


def _line(at: float, passed: "Passed", *, verbose: bool) -> str:
    from edge_agent.text import formatting  # noqa: PLC0415 - as above

    if not passed.who:
        return tr(
            "{at:9.3f} s  ?  {number} bytes: {hex}",
            at=at,
            number=len(passed.content),
            hex=passed.content.hex(" "),
        )
    values = ", ".join(f"{name} {formatting.with_unit(*said)}" for name, said in passed.samples.items())
    content = f"  [{passed.content.hex(' ')}]" if verbose else ""
    return f"{at:9.3f} s  {passed.who}  {values or passed.text}{content}"


def _as_json(at: float, passed: "Passed") -> dict[str, Any]:
    row: dict[str, Any] = {"t": round(at, 3), "who": passed.who, "hex": passed.content.hex()}
    if passed.text:
        row["text"] = passed.text
    if passed.samples:
        row["samples"] = {
            name: {"value": value, "unit": unit} for name, (value, unit) in passed.samples.items()
        }
    return row
