"""How many readings a configuration makes, what they take on disk, and what they are on MQTT. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log

from edge_agent.contract.messages import DataMessage, ReadingItem, StateMessage
from edge_agent.driver import Channel
from edge_agent.forecast import measured
from edge_agent.reading import Value
from edge_agent.settings.device_channels import kept_channels
from edge_agent.settings.model import Config
from edge_agent.settings.resolve import channels, opened
from edge_agent.settings.uplink import Uplink
from edge_agent.uplink.selection import passing, selects

DAY_S = 86_400.0
MONTH_S = 30 * DAY_S
YEAR_S = 31_557_600.0
_TS = 1_795_366_800_000


@dataclass(frozen=True, slots=True)
class Source:
    """A device as a source of readings: how many a second, at the least for one that speaks unasked."""

    id: str
    rate: float
    channels: tuple[Channel, ...]
    labels: dict[str, str]

    @property
    def row_bytes(self) -> float:
        """What one reading takes in the outbox."""
        return measured.ROW_BYTES + measured.VALUE_BYTES * len(self.channels)


def sources(config: Config) -> list[Source]:
    """Return every device of a configuration as a source."""
    return [
        Source(
            name,
            1 / (device.average or device.interval),
            kept_channels(device, channels(*opened(device))),
            dict(device.labels),
        )
        for name, device in config.device.items()
    ]


def kept_bytes_s(found: Iterable[Source]) -> float:
    """Return by how many bytes a second the outbox grows in an outage."""
    return sum(source.rate * source.row_bytes for source in found)


def written_bytes_s(found: Sequence[Source], window: float) -> float:
    """Return how many bytes a second are written to the card, by the measured table.

    Between its points the logarithms are taken as straight. Below one reading a second each commit costs
    what it costs there, and holds fewer readings.
    """
    rate = sum(source.rate for source in found)
    if not rate:
        return 0.0
    values = sum(source.rate * len(source.channels) for source in found) / rate
    more = 2 * measured.VALUE_BYTES * (values - measured.BENCH_VALUES)  # to the log, and later to the file
    rates = sorted({each for each, _ in measured.WRITTEN})
    least, most = rates[0], rates[-1]
    at = min(max(rate, least), most)
    by_window = {
        seconds: _between(at, [(one, measured.WRITTEN[one, seconds]) for one in rates]) for seconds in (1, 10)
    }
    each = _between(min(max(window, 1), 10), sorted(by_window.items()))
    if rate < least:
        floor = measured.WRITTEN[most, 1]
        each = floor + (each - floor) * (1 + least * window) / (1 + rate * window)
    return rate * max(each + more, 2 * measured.ROW_BYTES)


def _between(at: float, points: Sequence[tuple[float, float]]) -> float:
    for (low, first), (high, second) in pairwise(points):
        if at <= high:
            share = (log(at) - log(low)) / (log(high) - log(low))
            return exp(log(first) + share * (log(second) - log(first)))
    return points[-1][1]


def sent_bytes_s(config: Config, uplink: Uplink, found: Iterable[Source]) -> float:
    """Return how many bytes a second an uplink costs on the network while all is well."""
    tls = any(server.tls for server in uplink.servers)
    around = measured.SEGMENTS * measured.SEGMENT_BYTES + (2 * measured.TLS_BYTES if tls else 0)
    base = len(f"{uplink.root}/{config.gateway.site}/{config.gateway.id}/")
    message = around + measured.PACKET_BYTES + measured.PUBACK_BYTES + base
    total = (message + measured.HEALTH_BYTES) / measured.HEALTH_EVERY_S + _pings(uplink, around)
    passes = passing(uplink.send)
    for source in found:
        sent = tuple(channel for channel in source.channels if passes(channel.name))
        if not selects(uplink.send, source.id, source.labels, [channel.name for channel in sent]):
            continue
        together = max(1.0, source.rate * max(config.outbox.window, uplink.send.batch))
        envelope, item = payload_bytes(config, source.id, sent)
        messages = source.rate / together
        total += messages * (message + len(f"data/{source.id}") + envelope) + source.rate * item
        states = min(source.rate, 1 / max(1.0, uplink.send.batch))
        total += states * (message + len(f"state/{source.id}") + _state_bytes(config, source.id, sent))
    return total


def _pings(uplink: Uplink, around: int) -> float:
    return (around + 2 * 2) / uplink.keepalive


def payload_bytes(config: Config, device: str, sent: Sequence[Channel]) -> tuple[int, int]:
    """Return the size of a data message without its readings, and of each reading in it."""
    reading = ReadingItem(seq=1_000_000, ts=_TS, values={channel.name: _usual(channel) for channel in sent})
    told = {
        "site": config.gateway.site,
        "gateway": config.gateway.id,
        "device": device,
        "epoch": "k7f2",
        "lane": "live",
        "settled": 1_000_000,
        "meta": "9c1f02ab",
        "readings": [reading],
    }
    message = DataMessage.model_validate(told)
    item = len(reading.payload()) + 1
    return len(message.payload()) - item, item


def _state_bytes(config: Config, device: str, sent: Sequence[Channel]) -> int:
    values = {channel.name: _usual(channel) for channel in sent}
    told = {"gateway": config.gateway.id, "device": device, "ts": _TS, "availability": "online", "since": _TS}
    return len(StateMessage.model_validate(told | values).payload())


def _usual(channel: Channel) -> Value:
    return True if channel.quantity.kind == "state" else 1234.5
