"""``edge-agent outbox``: what is kept, what is owed to whom, what was lost; and readings as a file."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO
from zoneinfo import ZoneInfo

import typer

from edge_agent.cli.options import CONFIG, ConfigFile, loaded
from edge_agent.cli.say import say, tell
from edge_agent.cli.verb_exit import stop
from edge_agent.text.formatting import duration, nobody_reads
from edge_agent.text.language import plural, tr

if TYPE_CHECKING:
    from edge_agent.outbox.happened import Happened
    from edge_agent.outbox.readonly import KeptReading, LedgerLoss, ReadOnlyOutbox
    from edge_agent.row import Moment

outbox = typer.Typer(help=tr("Show what is kept, unsent and lost; export readings. It only reads."))

File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        readable=False,
        help=tr("Another outbox file, such as a copy; default: that of the configuration."),
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help=tr("For programs."))]
Output = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help=tr("A new file to write to; default: stdout.")),
]

_MOST_LOSSES = 100  # shown to a person
_MOST_EVENTS = 100  # the same; and read at once
_EVENTS_S = 60.0
_COLUMNS = ("device", "epoch", "seq", "ts", "time", "clock", "channel", "value", "unit", "quality", "reason")


@outbox.callback(invoke_without_command=True)
def summary(
    context: typer.Context, config: ConfigFile = CONFIG, *, file: File = None, as_json: AsJson = False
) -> None:
    """Show how much is kept, what each uplink is owed and since when, and how much was lost.

    The agent may run meanwhile; what was acknowledged in the last 10 s may still count as owed. Ends with 0,
    or with 2 when the file cannot be read, 78 when the configuration cannot.

    Example: edge-agent outbox --config agent.toml
    """
    if context.invoked_subcommand:
        return
    path, zone = _place(config, file, as_json=as_json)
    with _looking(path, as_json=as_json) as look:
        kept = look.summary()
        if as_json:
            tell({"file": str(path)} | asdict(kept) | {"uplinks": [_owed(one) for one in kept.uplinks]})
            return
        say(
            tr(
                "{path}: {readings} readings, {size:.1f} MB, epoch {epoch}",
                path=path,
                readings=kept.readings,
                size=kept.size / 1e6,
                epoch=kept.epoch,
            )
        )
        for one in kept.uplinks:
            parked = tr("; it is not in the configuration any more") if one.parked else ""
            say(
                tr("uplink {name}: {backlog} owed{parked}", name=one.name, backlog=one.backlog, parked=parked)
            )
            if one.oldest is not None and one.age_s is not None:
                say(
                    tr(
                        "  the oldest was made {time}, {age} ago",
                        time=_local(one.oldest, zone),
                        age=duration(one.age_s),
                    )
                )
        more = tr("; `edge-agent outbox losses` has more") if kept.lost else ""
        say(tr("lost since it was made: {lost}{more}", lost=kept.lost, more=more))


@outbox.command()
def losses(
    config: ConfigFile = CONFIG,
    *,
    file: File = None,
    as_json: Annotated[
        bool, typer.Option("--json", help=tr("For programs: an object per line, all."))
    ] = False,
) -> None:
    """Show what was given up, the newest first: device, numbers, times and why.

    Example: edge-agent outbox losses --json
    """
    path, zone = _place(config, file, as_json=as_json)
    with _looking(path, as_json=as_json) as look:
        shown = 0
        for loss in look.losses():
            shown += 1
            if as_json:
                tell(loss._asdict())
            elif shown <= _MOST_LOSSES:
                say(_loss(loss, zone))
        if shown > _MOST_LOSSES and not as_json:
            say(tr("and {number} older ones; --json has all", number=shown - _MOST_LOSSES))
        if not shown and not as_json:
            say(tr("nothing was lost"))


@outbox.command()
def events(
    config: ConfigFile = CONFIG,
    *,
    file: File = None,
    device: Annotated[str, typer.Option(metavar="ID", help=tr("Only this device."))] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help=tr("For programs: an object per line, all."))
    ] = False,
) -> None:
    """Show what happened, the newest first: devices late, offline and back, alarms, starts of the agent.

    They are kept as long as readings are. The operators' page also has changes of the configuration.

    Example: edge-agent outbox events --device meter-7
    """
    from edge_agent.outbox.happened import happened  # noqa: PLC0415 - as above
    from edge_agent.outbox.readonly import NEWEST  # noqa: PLC0415 - as above

    path, zone = _place(config, file, as_json=as_json)
    shown, below = 0, NEWEST
    with _looking(path, as_json=as_json) as look:
        while below and (as_json or shown < _MOST_EVENTS):
            page = happened(look, below=below, device=device, most=_MOST_EVENTS, within=_EVENTS_S)
            for one in page.found:
                if as_json:
                    fields = {
                        key: value for key, value in asdict(one).items() if key not in {"when", "stays"}
                    }
                    tell({"ts": one.when.ts, "clock": one.when.clock or "synchronised"} | fields)
                else:
                    say(_event(one, zone))
            shown += len(page.found)
            if page.below == below:
                stop(f"{path}: takes too long to read; copy it to another disk, and give that with --file")
            below = page.below or 0
        if device and not shown:
            _check_known(path, look, device, as_json=as_json)
        if below and not as_json:
            say(tr("there are older ones; --json has all"))
        elif not shown and not as_json:
            say(tr("nothing happened"))


@outbox.command()
def export(  # noqa: PLR0913 - one parameter for each option
    config: ConfigFile = CONFIG,
    *,
    file: File = None,
    device: Annotated[
        list[str] | None, typer.Option(metavar="ID", help=tr("Only this device; may be given again."))
    ] = None,
    from_: Annotated[
        str,
        typer.Option(
            "--from", metavar="TIME", help=tr("From this time on: 2026-11-23T08:00, or 2h ago: 2h.")
        ),
    ] = "",
    to: Annotated[str, typer.Option(metavar="TIME", help=tr("Before this time."))] = "",
    format_: Annotated[
        Literal["csv", "jsonl"],
        typer.Option("--format", help=tr("A line per value, or a JSON object per reading.")),
    ] = "csv",
    out: Output = None,
) -> None:
    """Write kept readings as CSV or JSON lines, in the order of keeping. Times are UTC, and ms since 1970.

    A TIME without a zone is of the site's. Ends with 0, with 1 when the file is damaged (what could be read
    is written), 2 when it cannot be done.

    Example: edge-agent outbox export --device meter-7 --from 2h --format jsonl --out it.jsonl
    """
    path, zone = _place(config, file)
    from_ms, to_ms = _time("--from", from_, zone), _time("--to", to, zone)
    with _looking(path) as look:
        for one in device or []:
            _check_known(path, look, one)
        with _output(out) as written:
            put = _csv(written) if format_ == "csv" else _jsonl(written)
            count = 0
            for found in look.readings(device or [], from_ms, to_ms, _progress):
                put(found)
                count += 1
    say(
        plural(count, "{number} reading written", "{number} readings written") + (f": {out}" if out else ""),
        error=True,
    )


def _place(config: Path, file: Path | None, *, as_json: bool = False) -> tuple[Path, tzinfo]:
    """Return which outbox is meant, and the site's time zone."""
    if file is not None:
        return file, UTC
    found = loaded(config, as_json=as_json)
    return found.outbox.path, ZoneInfo(found.gateway.timezone)


@contextmanager
def _looking(path: Path, *, as_json: bool = False) -> "Iterator[ReadOnlyOutbox]":
    from edge_agent.outbox.readonly import open_read_only  # noqa: PLC0415 - as above
    from edge_agent.outbox.store import DamagedError, OutboxError  # noqa: PLC0415 - as above

    try:
        with open_read_only(path) as look:
            yield look
    except OutboxError as error:
        stop(str(error), as_json=as_json)
    except DamagedError as error:
        stop(str(error), as_json=as_json, code=1)
    except BrokenPipeError:  # nobody reads on
        nobody_reads()


def _check_known(path: Path, look: "ReadOnlyOutbox", device: str, *, as_json: bool = False) -> None:
    """End the verb where an outbox has nothing of a device: its id is another."""
    there = look.devices()
    if device not in there:
        stop(f"{path} has no device {device!r}; there are: {', '.join(there) or 'none'}", as_json=as_json)


def _time(option: str, text: str, zone: tzinfo) -> int | None:
    from edge_agent.clock import SystemClock  # noqa: PLC0415 - as above
    from edge_agent.settings.units import duration as seconds  # noqa: PLC0415 - as above

    if not text:
        return None
    try:
        return SystemClock("always").wall_ms() - round(seconds(text) * 1000)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        stop(f"{option} {text!r} is no time; write 2026-11-23T08:00, or 2h for two hours ago")
    return round((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1000)


def _owed(one: Any) -> dict[str, Any]:
    fields = asdict(one)
    oldest = fields.pop("oldest")
    return fields | {"oldest_ts": None if oldest is None else oldest[0]}


def _local(when: "Moment", zone: tzinfo) -> str:
    """Write a time for a person."""
    at = datetime.fromtimestamp(when.ts / 1000, zone).isoformat(" ", "seconds")
    return f"{at} ({when.clock})" if when.clock else at


def _event(one: "Happened", zone: tzinfo) -> str:
    how = tr("it goes on") if one.goes_on else "" if one.lasted_s is None else duration(one.lasted_s)
    what = " ".join(filter(None, (one.device, one.event, one.channel, one.alarm)))
    value = "" if one.value is None else str(one.value)
    return "; ".join(filter(None, (f"{_local(one.when, zone)} {what}", value, how, one.detail)))


def _loss(loss: "LedgerLoss", zone: tzinfo) -> str:
    times = " to ".join(
        datetime.fromtimestamp(ts / 1000, zone).isoformat(" ", "seconds")
        for ts in (loss.from_ts, loss.to_ts)
        if ts is not None
    )
    numbers = f"{loss.from_seq} to {(tr('the end of its epoch') if loss.to_seq is None else loss.to_seq)}"
    count = tr("an unknown number of") if loss.readings is None else loss.readings
    return tr(
        "{device} {numbers}: {count} readings, {reason}{times}",
        device=loss.device,
        numbers=numbers,
        count=count,
        reason=loss.reason,
        times=f", {times}" if times else "",
    )


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    try:
        written = out.open("x", encoding="utf-8", newline="")
    except OSError as error:
        stop(f"{out} cannot be written ({error.strerror}); choose another name")
    with written:
        yield written


def _csv(written: TextIO) -> Any:
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(_COLUMNS)

    def put(found: "KeptReading") -> None:
        at = datetime.fromtimestamp(found.when.ts / 1000, UTC).isoformat(timespec="milliseconds")
        about = (found.device, found.epoch, found.seq, found.when.ts, at, found.when.clock or "synchronised")
        for channel in dict.fromkeys((*found.values, *found.quality)):
            why = found.quality.get(channel, ["good", ""])
            value = found.values.get(channel, "")
            cell = json.dumps(value) if isinstance(value, bool) else value
            rows.writerow((*about, channel, cell, found.units.get(channel, ""), *why))

    return put


def _jsonl(written: TextIO) -> Any:
    def put(found: "KeptReading") -> None:
        row = {
            "device": found.device,
            "epoch": found.epoch,
            "seq": found.seq,
            "ts": found.when.ts,
            "clock": found.when.clock or "synchronised",
            "values": found.values,
        }
        if found.quality:
            row["quality"] = found.quality
        written.write(json.dumps(row, ensure_ascii=False) + "\n")

    return put


def _progress(share: float) -> None:
    if sys.stderr.isatty():
        say(
            "\r" + tr("reading the outbox: {share:.0%}", share=share),
            error=True,
            end="\n" if share >= 1 else "",
        )
