"""What one device read in the last hours or days, thinned out for a plot, and read within a time."""

from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.downsampling import Downsampler, Span
from edge_agent.outbox.readonly import open_read_only


@dataclass(slots=True)
class Past:
    """Between two times, in ms since 1970. ``complete``: all of it could be read in time, else the newest.

    ``spans`` are by channel, ``units`` are UCUM codes. Texts are not among them.
    """

    from_ms: int
    to_ms: int
    complete: bool = True
    units: dict[str, str] = field(default_factory=dict)
    spans: dict[str, list[Span]] = field(default_factory=dict)


def past(path: Path, device: str, to_ms: int | None, length_ms: int, most: int, within: float) -> Past:  # noqa: PLR0913, PLR0917 - what is wanted, and how much of it
    """Read a device's past up to a time, or where that is not known to its newest reading.

    ``most`` spans are made of a channel; ``within`` is in seconds. It blocks: for a thread.

    Raises:
        OutboxError, DamagedError: the outbox cannot be read.
    """
    with open_read_only(path) as look:
        if to_ms is None:
            to_ms = look.newest_ms() or 0
        found = Past(to_ms - length_ms, to_ms)
        thinned: dict[str, Downsampler] = {}
        try:
            for reading in look.newest(device, found.from_ms, within):
                for channel, value in reading.values.items():
                    if isinstance(value, int | float):
                        if channel not in thinned:
                            thinned[channel] = Downsampler(found.from_ms, to_ms, most)
                            found.units[channel] = reading.units.get(channel, "")
                        doubt = channel in reading.quality
                        thinned[channel].add(reading.when.ts, float(value), doubt=doubt)
        except TimeoutError:
            found.complete = False
        found.spans = {channel: one.spans() for channel, one in thinned.items()}
        return found
