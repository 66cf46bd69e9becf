"""What the demo shows: a live table on a terminal, else a line a second. Pure: a status in, text out."""

from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from edge_agent.demo.config import control_socket
from edge_agent.demo.login import Login
from edge_agent.status import DeviceStatus, Status, UplinkStatus
from edge_agent.text import formatting
from edge_agent.text.value_lines import ValueLines

_AROUND = 14  # lines on the screen besides the table's rows
_STYLES = {"online": "green", "late": "yellow", "offline": "red", "suspect": "yellow", "bad": "red"}


@dataclass(frozen=True, slots=True)
class Heading:
    """What does not change while the demo runs: which broker, which files, how to watch.

    ``no_air`` says why there are no BLE sensors, "" where there are; ``page`` where the operators' page is.
    """

    broker: str
    login: Login
    directory: Path
    topics: str
    temporary: bool = False
    no_air: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """The readings of the whole agent since its start, over all uplinks."""

    kept: int
    acknowledged: int
    backlog: int
    lost: int
    waiting: int

    def __str__(self) -> str:
        return (
            f"kept {self.kept}  acknowledged {self.acknowledged}  backlog {self.backlog}  "
            f"lost {self.lost}  waiting {self.waiting}"
        )


def totals(status: Status) -> Totals:
    """Add up a status."""
    return Totals(
        kept=status.kept,
        acknowledged=sum(uplink.acknowledged for uplink in status.uplinks),
        backlog=sum(uplink.backlog for uplink in status.uplinks),
        lost=status.lost,
        waiting=status.waiting,
    )


def line(status: Status) -> str:
    """Return the whole status in one line, for a log or a pipe."""
    devices = "  ".join(
        f"{device.id} #{device.seq}"
        if device.availability == "online"
        else f"{device.id} {'waiting' if _waiting(device) else device.availability}"
        for device in status.devices
    )
    problems = [text for text in (status.problem, *(_uplink_problem(one) for one in status.uplinks)) if text]
    tail = "".join(f"  ! {text}" for text in problems)
    return f"{status.uptime_s:6.1f} s  {_spoken(status)}  {totals(status)}{_drains(status)}  {devices}{tail}"


def opening(heading: Heading) -> str:
    """Return what to know before the first reading, in some lines."""
    fate = (
        "removed at the end; keep them with --dir DIR" if heading.temporary else "agent.toml, outbox.db, logs"
    )
    return (
        f"broker  {heading.broker} at {heading.login.url}\n"
        f"files   {heading.directory}  ({fate})\n"
        f"watch   {heading.login.watch_command(heading.topics)}"
        f"\nask     edge-agent status --socket {control_socket(heading.directory)}"
        + (f"\npage    {heading.page}" if heading.page else "")
        + (f"\nBLE     no sensors: {heading.no_air}" if heading.no_air else "")
    )


def render(status: Status, heading: Heading, height: int) -> Group:
    """Return the screen. Where ``height`` lines do not hold a row per channel, a device is one row."""
    channels = sum(max(len(device.units), 1) for device in status.devices)
    table = _wide(status) if channels + _AROUND <= height else _narrow(status)
    return Group(_head(status, heading), table, *_foot(status))


def fitted(status: Status, heading: Heading, console: Console) -> Group:
    """Return the screen for a console, with as many devices as it has room for, and how many are hidden."""
    group, room = render(status, heading, console.height), console.height
    for count in range(len(status.devices), -1, -1):
        if len(console.render_lines(group)) <= room:
            return group
        table = _narrow(replace(status, devices=status.devices[:count]))
        without = len(status.devices) - count
        hidden = [Text(f"{without} of {len(status.devices)} devices are hidden", "yellow")] if without else []
        group = Group(table, *hidden, *_foot(status)[1:])
    return group


def _head(status: Status, heading: Heading) -> Text:
    head = Text()
    head.append(f"{status.site} / {status.gateway}", "bold")
    head.append(
        f"  up {status.uptime_s:.0f} s  epoch {status.epoch}  clock {status.clock}  {_spoken(status)}\n"
    )
    head.append(f"{opening(heading)}\n")
    return head


def _wide(status: Status) -> Table:
    table = Table("device", "channel", box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("age", justify="right")
    table.add_column("seq", justify="right")
    table.add_column("quality")
    for device in status.devices:
        first = (_name(device), _age(device), str(device.seq))
        if device.problem or not device.units:
            table.add_row(first[0], Text(device.problem, "yellow"), "", "", first[1], first[2], "")
            first = (Text(), "", "")
        for channel, unit in device.units.items():
            value = formatting.value(device.values.get(channel))
            table.add_row(
                first[0], channel, value, formatting.unit(unit), first[1], first[2], _quality(device, channel)
            )
            first = (Text(), "", "")
    return table


def _narrow(status: Status) -> Table:
    table = Table("device", box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("values", overflow="fold")
    table.add_column("age", justify="right")
    table.add_column("seq", justify="right")
    for device in status.devices:
        said = Text(device.problem, "yellow") if device.problem else ValueLines(device)
        table.add_row(_name(device), said, _age(device), str(device.seq))
    return table


def _spoken(status: Status) -> str:
    protocol = next((uplink.protocol for uplink in status.uplinks if uplink.protocol), "")
    return f"MQTT {protocol}" if protocol else "MQTT -"


def _foot(status: Status) -> list[Text]:
    lines = [Text(), Text(f"{totals(status)}{_drains(status)}", "bold")]
    lines += [
        Text(f"{uplink.name}: {problem}", "yellow")
        for uplink in status.uplinks
        if (problem := _uplink_problem(uplink))
    ]
    if status.problem:
        lines.append(Text(status.problem, "red"))
    return lines


def _drains(status: Status) -> str:
    """Say when the backlog will be gone, while one is being sent."""
    known = [uplink.drain_s for uplink in status.uplinks if uplink.backlog and uplink.drain_s is not None]
    return f"  sent in {max(1, round(max(known)))} s" if known else ""


def _uplink_problem(uplink: UplinkStatus) -> str:
    if uplink.problem:
        return uplink.problem
    return "" if uplink.connected else "not connected"


def _name(device: DeviceStatus) -> Text:
    return Text(device.id, _STYLES[device.availability])


def _age(device: DeviceStatus) -> str:
    if device.heard_s is not None:
        return f"{device.heard_s:.1f} s"
    return "waiting" if _waiting(device) else "-"


def _waiting(device: DeviceStatus) -> bool:
    """Say whether nothing was heard of a device yet, and it is too early to worry."""
    return device.heard_s is None and device.availability == "late"


def _quality(device: DeviceStatus, channel: str) -> Text:
    quality = device.quality.get(channel)
    if quality is None:
        return Text("good" if channel in device.values else "")
    return Text(f"{quality.grade}: {quality.reason}", _STYLES[quality.grade])
