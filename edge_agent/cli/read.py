"""``edge-agent read``: read one device of a configuration once."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.borrowed_port import with_port
from edge_agent.cli.completion import device_ids
from edge_agent.cli.options import CONFIG, ConfigFile, duration_option, loaded
from edge_agent.cli.say import say, tell
from edge_agent.cli.verb_exit import INTERRUPTED, stop, until_stopped
from edge_agent.text.language import OWN, tr

if TYPE_CHECKING:
    from edge_agent.bus.tap import Direction
    from edge_agent.onsite.session import Session
    from edge_agent.reading import Reading

_SILENT = tr(
    "check power, A and B, the address and the serial format; `edge-agent scan serial` asks in all of them"
)


def read(
    device: Annotated[
        str, typer.Argument(help=tr("The device's name in the configuration."), autocompletion=device_ids)
    ],
    config: ConfigFile = CONFIG,
    *,
    within: Annotated[
        str,
        typer.Option(
            metavar="DURATION", help=tr("Longest wait for a device that sends without being asked.")
        ),
    ] = "30s",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help=tr("Show the bytes, too."))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=tr("For programs."))] = False,
) -> None:
    """Read a device once, and show every channel. A running agent lends its port.

    Nothing is kept or sent. Ends with 0 when there is a reading, 1 when there is none, 2 when it cannot
    be done, 78 when the configuration is wrong.

    Example: edge-agent read meter-7 --config agent.toml -v
    """
    from edge_agent.bus.serial import BusError  # noqa: PLC0415 - `edge-agent --help` need not wait for it
    from edge_agent.driver import Fault, NoAnswer  # noqa: PLC0415 - as above
    from edge_agent.onsite.session import Session  # noqa: PLC0415 - as above

    limit = duration_option("--within", within, as_json=as_json)
    if not limit:
        stop("--within is no time at all; give more, such as 30s", as_json=as_json)
    try:
        session = Session(loaded(config, as_json=as_json), device, _Passing() if verbose else None)
    except LookupError as error:
        stop(str(error), as_json=as_json)
    heard: list[Reading] = []

    async def once() -> None:
        try:
            heard.append(await session.reading(limit))
        finally:
            await session.close()

    try:
        ended = until_stopped(with_port(session.port, "read", once))
    except (Fault, BusError) as error:
        kind = type(error).__name__
        if as_json:
            tell({"device": device, "fault": kind, "reason": str(error)})
        else:
            say(f"{device}: {kind}: {error}", error=True, filled=True)
            if isinstance(error, NoAnswer):
                say(_SILENT, error=True, filled=True)
        raise typer.Exit(2 if isinstance(error, BusError) else 1) from None
    if not ended:
        raise typer.Exit(INTERRUPTED)
    if as_json:
        tell(_as_json(session, heard[0]))
    else:
        say("\n".join(_lines(session, heard[0])))


class _Passing:
    """A tap that prints what passes on stderr, with the seconds since the beginning."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, direction: "Direction", piece: bytes) -> None:
        at = time.monotonic() - self._start
        say(f"{at:8.3f} s  {direction:5}  {piece.hex(' ')}", error=True)


def _as_json(session: "Session", reading: "Reading") -> dict[str, Any]:
    channels = {}
    for channel in session.channels:
        if channel.name not in reading.values and channel.name not in reading.quality:
            continue
        quality = reading.quality.get(channel.name)
        channels[channel.name] = {
            "value": reading.values.get(channel.name),
            "unit": channel.quantity.unit,
            "quality": [quality.grade, quality.reason] if quality else ["good", ""],
        }
    age = session.device.heard_s
    return {
        "device": reading.device,
        "model": session.model,
        "age_s": age,
        "channels": channels,
        "faults": dict(session.device.faults),
    }


def _lines(session: "Session", reading: "Reading") -> list[str]:
    from edge_agent.text import formatting  # noqa: PLC0415 - as above

    found = _as_json(session, reading)
    lines = [
        tr(
            "{device}: {model}, {serial}; read {age_s:.1f} s ago",
            device=reading.device,
            model=session.model,
            serial=session.serial,
            age_s=found["age_s"],
        )
    ]
    width = max(map(len, found["channels"]), default=0)
    labels = (
        {} if OWN.language == "en" else {channel.name: OWN.label(channel) for channel in session.channels}
    )
    for name, channel in found["channels"].items():
        value = formatting.with_unit(channel["value"], channel["unit"])
        quality = ": ".join(filter(None, channel["quality"]))
        lines.append(f"  {name:{width}}  {value:>14}  {quality}  {labels.get(name, '')}".rstrip())
    absent = [channel.name for channel in session.channels if channel.name not in found["channels"]]
    if absent:
        lines.append(tr("  not reported: {absent}", absent=", ".join(absent)))
    faults = [f"{count} {kind}" for kind, count in found["faults"].items()]
    return lines + ([tr("  before it: {faults}", faults=", ".join(faults))] if faults else [])
