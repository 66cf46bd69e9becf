"""``edge-agent record``: write down all that passes on a port, for a bug report."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from edge_agent.bus.tap import Direction
from edge_agent.cli.borrowed_port import with_port
from edge_agent.cli.options import CONFIG, ConfigFile, duration_option, loaded
from edge_agent.cli.say import say
from edge_agent.cli.verb_exit import stop, until_stopped
from edge_agent.text.language import tr

if TYPE_CHECKING:
    from edge_agent.bus.address import Address
    from edge_agent.bus.serial import SerialFormat
    from edge_agent.bus.tap import Tap
    from edge_agent.onsite.capture import Recorder
    from edge_agent.onsite.session import Session

Work = Callable[[], Coroutine[Any, Any, None]]

_PATIENCE = 60.0  # seconds beyond its interval that a device may take for one reading


def record(  # noqa: PLR0913 - one parameter for each option
    file: Annotated[Path, typer.Argument(help=tr("The capture to write; it must not be there yet."))],
    *,
    port: Annotated[str, typer.Option(help=tr("Only listen on this port."))] = "",
    serial: Annotated[
        str, typer.Option("--speed", metavar="FORMAT", help=tr("The port's format."))
    ] = "9600 8N1",
    device: Annotated[
        str, typer.Option(help=tr("Read this device of the configuration at its interval."))
    ] = "",
    config: ConfigFile = CONFIG,
    for_: Annotated[
        str, typer.Option("--for", metavar="DURATION", help=tr('End by itself, such as "1m"; else Ctrl-C.'))
    ] = "",
    max_size: Annotated[
        str, typer.Option(metavar="SIZE", help=tr("End when the file has this size."))
    ] = "10MB",
) -> None:
    """Record both directions of a port as JSON lines: a capture, to be sent with a bug report.

    `edge-agent replay` plays it, and `edge-agent decode --capture` says what is in it. It holds the bytes and
    the port's format, the driver and its settings, and no secret.

    Example: edge-agent record meter.jsonl --device meter-7 --config agent.toml --for 1m
    """
    from edge_agent.bus.address import Address  # noqa: PLC0415 - not for --help
    from edge_agent.bus.serial import BusError, SerialFormat  # noqa: PLC0415 - as above
    from edge_agent.onsite.capture import Head, Recorder, without_secrets  # noqa: PLC0415 - as above
    from edge_agent.onsite.session import Session  # noqa: PLC0415 - as above
    from edge_agent.settings.units import size  # noqa: PLC0415 - as above

    if bool(port) == bool(device):
        stop("give --port to listen to all that passes, or --device to read a device; one of them")
    seconds = duration_option("--for", for_)
    try:
        most = size(max_size)
    except ValueError as error:
        stop(f"--max-size {max_size!r} {error}")

    def tap(direction: Direction, piece: bytes) -> None:
        recorder(direction, piece)  # which is made when the port's format is known

    work: Work
    try:
        if device:
            session = Session(loaded(config), device, tap)
            head = Head(str(session.serial), session.settings.driver, without_secrets(session.chosen))
            port, work = session.port, partial(_ask, session)
        else:
            form = SerialFormat.parse(serial)
            head, work = Head(str(form)), partial(_listen, Address.parse(port), form, tap)
    except (LookupError, ValueError) as error:
        stop(str(error))
    with _new(file) as written:
        recorder = Recorder(written.write, head, most=most)
        say(tr("recording to {file}; Ctrl-C ends it", file=file), error=True)
        try:
            until_stopped(with_port(port, "record", partial(_until_full, work, recorder)), seconds)
        except BusError as error:
            recorder.flush()
            if not recorder.bytes:
                file.unlink()
            stop(str(error))
        recorder.flush()
    full = (
        tr("; it is full ({max_size}), more with --max-size", max_size=max_size)
        if recorder.filled.is_set()
        else ""
    )
    say(tr("{bytes} bytes recorded in {file}{full}", bytes=recorder.bytes, file=file, full=full), error=True)
    raise typer.Exit(0 if recorder.bytes else 1)


def _new(file: Path) -> TextIO:
    """Open the capture to write, line by line: whatever ends the recording, they are there."""
    try:
        return file.open("x", buffering=1, encoding="utf-8")
    except OSError as error:
        stop(f"{file} cannot be written ({error.strerror}); choose another name")


async def _until_full(work: Work, recorder: "Recorder") -> None:
    working = asyncio.create_task(work(), name="recording")
    filled = asyncio.create_task(recorder.filled.wait(), name="filled")
    try:
        await asyncio.wait((working, filled), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, filled):
            task.cancel()
        await asyncio.wait((working, filled))
    if not working.cancelled():
        working.result()


async def _listen(address: "Address", form: "SerialFormat", tap: "Tap") -> None:
    from edge_agent.bus.stream import open_stream  # noqa: PLC0415 - as above

    stream = await open_stream(address, form)
    stream.tap = tap
    try:
        while True:
            await stream.read()
    finally:
        stream.close()


async def _ask(session: "Session") -> None:
    """Read a device at its interval; a fault is a part of what is recorded."""
    from edge_agent.driver import Fault  # noqa: PLC0415 - as above

    loop = asyncio.get_running_loop()
    try:
        while True:
            due = loop.time() + session.settings.interval
            with suppress(Fault):
                await session.reading(session.settings.interval + _PATIENCE)
            if session.asks:
                await asyncio.sleep(due - loop.time())
    finally:
        await session.close()
