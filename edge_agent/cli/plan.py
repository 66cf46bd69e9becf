"""``edge-agent plan``: what a configuration will cost, before it runs."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from edge_agent.cli.options import CONFIG, ConfigFile, loaded
from edge_agent.cli.say import say, tell
from edge_agent.cli.verb_exit import stop
from edge_agent.text.language import plural, tr

_FULL = 0.8  # of a bus's time: above it every late answer makes others late


def plan(
    config: ConfigFile = CONFIG,
    *,
    endurance: Annotated[
        str,
        typer.Option(
            metavar="SIZE", help=tr("How much can be written to the card in its life, as its maker states.")
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help=tr("For programs."))] = False,
) -> None:
    """Calculate the longest outage that the outbox covers, the life of the card, traffic, load of each bus.

    From the configuration and measured sizes; a device that speaks unasked is taken to make one reading an
    interval, and makes more when its states change. Ends with 0, 1 when a bus has more to ask than it can
    carry, 78 when the configuration is wrong.

    Example: edge-agent plan --config agent.toml --endurance 8000GB
    """
    from edge_agent.forecast.all_figures import figures  # noqa: PLC0415 - not for --help

    card = _card(endurance, as_json=as_json)
    found = figures(loaded(config, as_json=as_json), card)
    if as_json:
        tell(found)
    else:
        for line in _lines(found):
            say(line, filled=True)
    raise typer.Exit(1 if any(bus["busy"] > 1 for bus in found["buses"].values()) else 0)


def _card(endurance: str, *, as_json: bool) -> float:
    from edge_agent.forecast.measured import CARD_BYTES  # noqa: PLC0415 - as above
    from edge_agent.settings.units import size  # noqa: PLC0415 - as above

    if not endurance:
        return CARD_BYTES
    try:
        return size(endurance)
    except ValueError as error:
        stop(f"--endurance {endurance!r} {error}", as_json=as_json)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    outbox, card = found["outbox"], found["card"]
    if not found["devices"]:
        yield tr("there is no device: nothing is read, nothing is written")
        return
    yield plural(
        found["devices"],
        "readings: {readings_s:g} a second of {number} device",
        "readings: {readings_s:g} a second of {number} devices",
        readings_s=found["readings_s"],
    )
    hours = outbox["outage_hours"]
    yield (
        tr(
            "outage: {max_size} hold {hours} of readings, {bytes_day} a day; then outbox.max_size and "
            "when_full decide what goes",
            max_size=_bytes(outbox["max_size"]),
            hours=_span(hours),
            bytes_day=_bytes(outbox["bytes_day"]),
        )
    )
    yield (
        tr(
            "card: {written_day} written a day; {endurance} of endurance last {years:g} years; a longer "
            "outbox.window writes less",
            written_day=_bytes(card["written_day"]),
            endurance=_bytes(card["endurance"]),
            years=card["years"],
        )
    )
    for name, uplink in found["uplinks"].items():
        yield tr(
            "uplink {name}: {bytes_month} a month of 30 days, TCP/IP included",
            name=name,
            bytes_month=_bytes(uplink["bytes_month"]),
        )
    for name, bus in found["buses"].items():
        yield from _bus_lines(name, bus)


def _bus_lines(name: str, bus: dict[str, Any]) -> Iterator[str]:
    yield tr(
        "bus {name}: busy {busy:.0%} of its time at {serial}",
        name=name,
        busy=bus["busy"],
        serial=bus["serial"],
    )
    for device, poll in bus["polls"].items():
        if poll["seconds"] is None:
            yield tr("  {device}: not known, its driver has no recorded answers", device=device)
        else:
            yield tr(
                "  {device}: {seconds:.2f} s each {interval:g} s, {share:.0%}",
                device=device,
                seconds=poll["seconds"],
                interval=poll["interval"],
                share=poll["seconds"] / poll["interval"],
            )
    if bus["busy"] > 1:
        yield tr("  that is more than it can carry: raise intervals, or the speed of all devices")
    elif bus["busy"] > _FULL:
        yield tr("  that is nearly full: a device that does not answer delays the others")


def _bytes(size: float) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}" if size < 100 * factor else f"{size / factor:.0f} {unit}"
    return tr("{size:.0f} bytes", size=size)


def _span(hours: float) -> str:
    if hours < 72:  # noqa: PLR2004 - readable
        return plural(round(hours), "{number} hour", "{number} hours")
    return tr("{hours:.0f} hours ({days:.0f} days)", hours=hours, days=hours / 24)
