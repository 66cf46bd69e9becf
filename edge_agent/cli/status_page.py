"""What ``edge-agent status`` shows to a person. A status in, a picture out."""

from collections.abc import Iterator
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edge_agent.status import BusStatus, Status, UplinkStatus, wrong
from edge_agent.text.formatting import duration, plain
from edge_agent.text.language import tr
from edge_agent.text.translation import translated
from edge_agent.text.value_lines import ValueLines

_STYLES = {"online": "green", "late": "yellow", "offline": "red"}
_MOST_WRONG = 20  # lines; the table has the rest


def page(status: Status, *, cut_below: bool = False) -> RenderableType:
    """Return all of it, what is wrong at the end: there a person looks first.

    ``cut_below``: the screen may be too short for it, so that the devices come last.
    """
    found = [Text(plain(translated(line)), "red") for line in wrong(status)]
    if more := found[_MOST_WRONG:]:
        found = [*found[:_MOST_WRONG], Text(tr("and {number} more", number=len(more)))]
    ending = [Text(), *(found or [Text(tr("all is well"), "green")])]
    if cut_below:
        return Group(_head(status), _ways(status), *ending, Text(), _devices(status))
    return Group(_head(status), _devices(status), _ways(status), *ending)


def _head(status: Status) -> Text:
    name = f" ({status.name})" if status.name else ""
    head = Text(plain(f"{status.site} / {status.gateway}{name}"), "bold")
    head.append(
        tr(
            "  up {time}  version {version}  clock {clock}\n",
            time=duration(status.uptime_s),
            version=status.version,
            clock=status.clock,
        ),
        "not bold",
    )
    head.append(
        plain(
            tr(
                "outbox {outbox}: {kept} kept, {waiting} waiting, {lost} lost; {disk_free_mb} MB of disk "
                "free; the agent takes {rss_mb} MB\n",
                outbox=status.outbox,
                kept=status.kept,
                waiting=status.waiting,
                lost=status.lost,
                disk_free_mb=status.disk_free_mb,
                rss_mb=status.rss_mb,
            )
        ),
        "not bold",
    )
    if (board := status.board) is not None:
        hot = "" if board.temperature is None else f"{board.temperature:g} °C, "
        head.append(
            tr("board  {hot}load {load:g} on {cores} cores\n", hot=hot, load=board.load, cores=board.cores),
            "not bold",
        )
    return head


def _devices(status: Status) -> Table:
    table = _table(tr("device"), "", tr("since"), tr("heard"), tr("values"))
    ordered = sorted(status.devices, key=lambda device: device.place)
    for place, devices in groupby(ordered, key=lambda device: device.place):
        if place:
            table.add_row(Text(plain(place), "bold"))
        for device in devices:
            heard = "-" if device.heard_s is None else tr("{time} ago", time=duration(device.heard_s))
            table.add_row(
                Text(("  " if place else "") + device.id),
                Text(translated(device.availability), _STYLES.get(device.availability, "")),
                duration(device.since_s),
                heard,
                ValueLines(device),
            )
            if device.problem:
                table.add_row("", "", "", "", Text(plain(translated(device.problem)), "yellow"))
    return table


def _ways(status: Status) -> Table:
    table = _table("", "", "")
    for uplink in status.uplinks:
        table.add_row(
            tr("uplink {name}", name=uplink.name),
            Text(plain(uplink.server)),
            Text("  ".join(_uplink(uplink))),
        )
    for bus in status.buses:
        table.add_row(tr("bus {id}", id=bus.id), Text(plain(bus.port)), Text("  ".join(_bus(bus))))
    return table


def _uplink(uplink: UplinkStatus) -> Iterator[str]:
    yield f"MQTT {uplink.protocol}" if uplink.connected else tr("not connected")
    yield tr("{acknowledged} acknowledged", acknowledged=uplink.acknowledged)
    yield tr("{backlog} owed", backlog=uplink.backlog)
    if uplink.backlog and uplink.drain_s is not None:
        yield tr("sent in {time}", time=duration(max(1, uplink.drain_s)))


def _bus(bus: BusStatus) -> Iterator[str]:
    if bus.busy is not None:
        yield tr("{busy:.0%} busy", busy=bus.busy)
    yield tr("{exchanges} exchanges", exchanges=bus.exchanges)
    yield from (f"{count} {kind}" for kind, count in bus.failures.items())
    if bus.skipped:
        yield tr("{skipped} bytes in no frame", skipped=bus.skipped)
    if bus.reopened:
        yield tr("came back {reopened} times", reopened=bus.reopened)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    table.show_header = any(columns)
    return table
