"""The commissioning report: what was installed, where, and what it said, for the customer's file."""

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from unicodedata import east_asian_width
from zoneinfo import ZoneInfo

from edge_agent.settings import resolve
from edge_agent.settings.device import Device
from edge_agent.settings.model import Config
from edge_agent.status import DeviceStatus, Status, wrong
from edge_agent.text import formatting
from edge_agent.text.language import tr

_BOARD = Path("/sys/firmware/devicetree/base/model")
_STYLE = """\
body { font: 10pt sans-serif; margin: 2cm; color: #000; background: #fff }
h1 { font-size: 16pt } h2 { font-size: 12pt; margin-top: 1.5em }
table { border-collapse: collapse; width: 100% }
td, th { border: 1px solid #999; padding: 2pt 5pt; text-align: left }
th { background: #eee } tr { break-inside: avoid }
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A table of the report. ``columns`` may be empty: then the first of a row says what the second is."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def parts(config: Config, status: Status, ts: int | None, by: str) -> Iterator[Part]:
    """Return all of it. ``ts`` is now in ms, None where no clock can be trusted; ``by`` who installed it."""
    gateway = config.gateway
    yield Part(
        tr("Gateway"),
        (),
        (
            (tr("Site"), gateway.site),
            (tr("Gateway"), f"{gateway.id} ({gateway.name})" if gateway.name else gateway.id),
            (tr("Time"), _when(ts, gateway.timezone)),
            (tr("Board"), _board()),
            (tr("System"), f"{platform.system()} {platform.release()}, Python {platform.python_version()}"),
            (tr("Software"), f"edge-agent {status.version}"),
            (tr("Readings kept, lost"), f"{status.kept}, {status.lost}"),
            (tr("Installed by"), by or "_" * 30),
            (tr("Signature"), "_" * 30),
        ),
    )
    yield Part(
        tr("To where"),
        (tr("Uplink"), tr("Server"), tr("Connected"), tr("Acknowledged"), tr("Owed")),
        [
            (
                up.name,
                up.server,
                f"MQTT {up.protocol}" if up.connected else tr("no"),
                str(up.acknowledged),
                str(up.backlog),
            )
            for up in status.uplinks
        ],
    )
    by_id = {device.id: device for device in status.devices}
    yield Part(
        tr("Devices"),
        (tr("Device"), tr("Name"), tr("Place"), tr("What it is"), tr("Where"), tr("State"), tr("Signal")),
        [_device(id_, device, by_id.get(id_)) for id_, device in config.device.items()],
    )
    yield Part(
        tr("Values"),
        (tr("Device"), tr("Channel"), tr("Value"), tr("Quality")),
        [row for device in status.devices for row in _values(device)],
    )
    if found := list(wrong(status)):
        yield Part(tr("Open points"), (), [(str(at), line) for at, line in enumerate(found, 1)])


def _device(id_: str, device: Device, seen: DeviceStatus | None) -> tuple[str, ...]:
    record, settings = resolve.chosen(device)
    what = record.model(settings) or record.title
    options = device.settings
    where = ", ".join(
        [device.bus, *(f"{key} {options[key]}" for key in ("address", "unit") if key in options)]
    )
    signal = seen.values.get("signal") if seen else None
    return (
        id_,
        device.name,
        device.place,
        what,
        where,
        seen.availability if seen else tr("not running"),
        "" if signal is None else formatting.with_unit(signal, "dBm"),
    )


def _values(device: DeviceStatus) -> Iterator[tuple[str, ...]]:
    for channel, value in device.values.items():
        quality = device.quality.get(channel)
        grade = f"{quality.grade}: {quality.reason}" if quality else tr("good")
        yield device.id, channel, formatting.with_unit(value, device.units.get(channel, "")), grade


def _when(ts: int | None, timezone: str) -> str:
    if ts is None:
        return tr("the gateway's clock is not known to be right")
    return datetime.fromtimestamp(ts / 1000, UTC).astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M %Z")


def _board() -> str:
    try:
        return _BOARD.read_bytes().strip(b"\0\n ").decode("utf-8", "replace")
    except OSError:
        return platform.machine()


def as_text(title: str, told: Iterable[Part]) -> str:
    """Write it for a terminal, or for a file of plain text."""
    lines = [title, "=" * _width(title)]
    for part in told:
        rows = [part.columns, *part.rows] if part.columns else list(part.rows)
        widths = [max(_width(row[at]) for row in rows) for at in range(len(rows[0]))] if rows else []
        lines += ["", part.title, "-" * _width(part.title)]
        lines += ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _padded(cell: str, width: int) -> str:
    return formatting.plain(cell) + " " * (width - _width(cell))


def _width(cell: str) -> int:
    """Count columns of a terminal, of which a Chinese character takes two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in formatting.plain(cell))


def as_html(title: str, told: Iterable[Part]) -> str:
    """Write it as one page that can be printed; it loads nothing from anywhere."""
    body = [f"<h1>{escape(title)}</h1>"]
    for part in told:
        head = [_row("th", part.columns)] if part.columns else []
        body += [f"<h2>{escape(part.title)}</h2>", "<table>", *head]
        body += [*(_row("td", row) for row in part.rows), "</table>"]
    return "\n".join(
        (
            "<!doctype html>",
            f'<html><head><meta charset="utf-8"><title>{escape(title)}</title>',
            f"<style>\n{_STYLE}</style></head><body>",
            *body,
            "</body></html>",
            "",
        )
    )


def _row(kind: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{kind}>{escape(formatting.plain(cell))}</{kind}>' for cell in cells)}</tr>"
