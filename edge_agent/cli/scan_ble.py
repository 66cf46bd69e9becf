"""``edge-agent scan ble``: who broadcasts near an adapter."""

import asyncio
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.options import duration_option
from edge_agent.cli.say import say, tell
from edge_agent.cli.verb_exit import INTERRUPTED, stop, until_stopped
from edge_agent.text.formatting import plain
from edge_agent.text.language import plural, tr

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edge_agent.bus.ble.radio import Radio
    from edge_agent.onsite.senders import Sender, Senders

_REFRESH_S = 0.5
_MOST_KINDS = 8
_COMPANIES = {  # Bluetooth SIG, Assigned Numbers, 7.1: company identifiers that are everywhere
    "0x0006": "Microsoft",
    "0x004C": "Apple",
    "0x0075": "Samsung",
    "0x00E0": "Google",
    "0x027D": "Huawei",
    "0x038F": "Xiaomi",
}
_AROUND = 4  # lines of a terminal besides the table's rows


def ble(
    *,
    adapter: Annotated[str, typer.Option(help=tr("The adapter; `bluetoothctl list` shows them."))] = "hci0",
    for_: Annotated[
        str,
        typer.Option("--for", metavar="DURATION", help=tr("How long to listen; some speak once a minute.")),
    ] = "30s",
    everyone: Annotated[
        bool, typer.Option("--all", help=tr("List also those that no driver knows."))
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=tr("For programs."))] = False,
    as_toml: Annotated[bool, typer.Option("--toml", help=tr("Print a configuration to begin with."))] = False,
) -> None:
    """Listen to an adapter, and say who broadcasts: which driver fits, what it says, how strong it is here.

    It scans actively and connects to nobody. Devices whose broadcasts no driver knows, such as phones, are
    only counted. Ctrl-C ends it and shows what was found so far. Ends with 0 when a device was found, 1 when
    not, 2 when it cannot be done.

    Example: edge-agent scan ble --for 60s --toml > agent.toml
    """
    from edge_agent.onsite.senders import Senders  # noqa: PLC0415 - `edge-agent --help` need not wait for it

    seconds = duration_option("--for", for_, as_json=as_json)
    if not seconds:
        stop("--for is no time at all; give more, such as 30s", as_json=as_json)
    if as_json and as_toml:
        stop("--json and --toml cannot be given together; choose one", as_json=True)
    senders = Senders()
    radio = radio_for(adapter, senders)
    live = sys.stdout.isatty() and not as_json and not as_toml
    if not live:
        say(
            tr("listening on {adapter} for {seconds:g} s; Ctrl-C ends it", adapter=adapter, seconds=seconds),
            error=True,
        )
    ended = until_stopped(_listen(radio, senders, live=live), seconds)
    if ended and radio.problem and not radio.heard:
        stop(f"{adapter}: {radio.problem}", as_json=as_json)
    if radio.problem:
        say(f"{adapter}: {radio.problem}", error=True)
    _print(adapter, senders, everyone=everyone, as_json=as_json, as_toml=as_toml, complete=ended)
    if not ended:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(0 if senders.known else 1)


def radio_for(adapter: str, senders: "Senders") -> "Radio":
    """Return an adapter that tells senders what it hears."""
    from edge_agent.bus.ble.radio import Radio  # noqa: PLC0415 - bleak is slow to load
    from edge_agent.driver import Broadcast  # noqa: PLC0415 - as above

    radio = Radio(adapter, active=True, expect=lambda: None)
    radio.listen("", Broadcast(), senders.hear)
    return radio


async def _listen(radio: "Radio", senders: "Senders", *, live: bool) -> None:
    if not live:
        return await radio.run()
    from rich.console import Console  # noqa: PLC0415 - slow to load
    from rich.live import Live  # noqa: PLC0415 - as above

    console = Console()
    async with asyncio.TaskGroup() as group:
        group.create_task(radio.run())
        with Live(console=console, auto_refresh=False, transient=True) as screen:
            while True:
                screen.update(_table(radio, senders, console.height - _AROUND), refresh=True)
                await asyncio.sleep(_REFRESH_S)


def _table(radio: "Radio", senders: "Senders", rows: int) -> "RenderableType":
    from rich.console import Group  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    from edge_agent.onsite.senders import best, nearest_first  # noqa: PLC0415 - as above

    table = Table(
        tr("address"), tr("name"), box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0)
    )
    for title in (tr("signal"), tr("age")):
        table.add_column(title, justify="right")
    table.add_column(tr("driver"))
    table.add_column(tr("values"), overflow="ellipsis", no_wrap=True)
    found = list(nearest_first(senders.known))
    for one in found[:rows]:
        known = best(one)
        cells = (
            one.address,
            one.name,
            f"{one.signal} dBm",
            f"{one.age:.0f} s",
            known.driver,
        )
        table.add_row(
            *(Text(plain(cell)) for cell in cells),
            Text(plain(known.shown_values()), "yellow" if known.needs_key else ""),
        )
    hidden = tr("{number} more; ", number=len(found) - rows) if len(found) > rows else ""
    foot = tr("{hidden}{others}; Ctrl-C ends it", hidden=hidden, others=_others(senders))
    return Group(table, Text(foot), Text(radio.problem, "yellow"))


def _print(  # noqa: PLR0913 - how it was asked for
    adapter: str, senders: "Senders", *, everyone: bool, as_json: bool, as_toml: bool, complete: bool
) -> None:
    from edge_agent.onsite.air_snippet import air_snippet  # noqa: PLC0415 - as above
    from edge_agent.onsite.senders import for_programs, kinds, nearest_first  # noqa: PLC0415 - as above

    found = list(nearest_first(senders.known))
    others = list(nearest_first(senders.others)) if everyone else []
    if as_json:
        report = {
            "adapter": adapter,
            "complete": complete,
            "found": [for_programs(one) for one in found],
            "others": len(senders.others),
            "others_by_kind": kinds(senders.others),
            "unknown": [{**for_programs(one), "says": one.says} for one in others],
        }
        tell(report)
        return
    if as_toml:
        say(air_snippet(adapter, found), end="")
    else:
        say("\n".join(line for one in found for line in _lines(one)), end="\n" if found else "")
    for one in others:
        say(
            tr(
                "{address}  {signal} dBm  {name}says {says}",
                address=one.address,
                signal=one.signal,
                name=_called(one),
                says=", ".join(one.says) or tr("nothing"),
            ),
            error=as_toml,
        )
    if not found:
        say(
            tr(
                "no device was found on {adapter} that a driver knows{so_far}",
                adapter=adapter,
                so_far="" if complete else tr(" so far"),
            ),
            error=as_toml,
        )
    say(tr("note: {others}", others=_others(senders)), error=as_toml)
    for line in _kinds(senders):
        say(f"  {line}", error=as_toml)


def _lines(one: "Sender") -> Iterator[str]:
    yield f"{one.address}  {one.signal} dBm  {_called(one)}".rstrip()
    for known in sorted(one.known.values(), key=lambda known: -len(known.values)):
        yield f"    {known.driver}: {known.shown_values()}"
        if known.needs_key:
            yield tr("    {problem}; --toml shows where", problem=known.problem)


def _called(one: "Sender") -> str:
    return f"{one.name}  " if one.name else ""


def _kinds(senders: "Senders") -> Iterator[str]:
    from edge_agent.onsite.senders import kinds  # noqa: PLC0415 - as above

    found = kinds(senders.others)
    for kind, count in list(found.items())[:_MOST_KINDS]:
        if not kind:
            text = tr("with neither a company nor a service in what they say")
        elif kind in _COMPANIES:
            text = tr("of company {kind}, {company}", kind=kind, company=_COMPANIES[kind])
        elif kind.startswith("0x"):
            text = tr("of company {kind}", kind=kind)
        else:
            text = tr("of service {kind}", kind=kind)
        yield f"{count:4} {text}"
    if (rest := len(found) - _MOST_KINDS) > 0:
        yield plural(
            rest, "and of {number} more kind; --json has it", "and of {number} more kinds; --json has them"
        )


def _others(senders: "Senders") -> str:
    least = tr("at least ") if senders.forgotten else ""
    return plural(
        len(senders.others),
        "{least}{number} other broadcasts what no driver knows, such as a phone",
        "{least}{number} others broadcast what no driver knows, such as phones",
        least=least,
    )
