"""A status as Prometheus reads it. The only door to prometheus-client.

Names and units follow Prometheus' conventions: base units, ``_total`` for what only grows. Ages are told
rather than instants, because a gateway's clock may be wrong.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from edge_agent.status import BusStatus, DeviceStatus, Status, UplinkStatus, wrong

_AVAILABILITIES = ("online", "late", "offline")


class _Snapshot:
    """What a registry collects: one status."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        yield from _agent(self._status)
        if self._status.epoch:  # before it is known, 0 would be a counter that began anew
            yield from _counts(self._status)
            yield from _devices(self._status.devices)
            yield from _uplinks(self._status.uplinks)
        yield from _buses(self._status.buses)


def exposed(status: Status) -> bytes:
    """Return the text of all metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(status))
    return generate_latest(registry)


def _agent(status: Status) -> Iterator[Metric]:
    about = {"site": status.site, "gateway": status.gateway, "version": status.version, "epoch": status.epoch}
    yield InfoMetricFamily("edge_agent", "Which agent this is", about)
    yield _gauge("uptime_seconds", "How long it runs", status.uptime_s)
    yield _gauge("problems", "Lines under what edge-agent status calls wrong", sum(1 for _ in wrong(status)))
    synchronised = status.clock == "synchronised"
    yield _gauge("clock_synchronised", "1 while the clock is known to be right", synchronised)
    yield _gauge("disk_free_bytes", "Room beside the outbox", status.disk_free_mb * 1e6)
    yield _gauge("resident_memory_bytes", "Memory of the agent", status.rss_mb * 1e6)
    if (board := status.board) is None:
        return
    yield _gauge("board_load1", "Load of the machine in the last minute", board.load)
    yield _gauge("board_cores", "Processors of the machine", board.cores)
    for name, text, value in (
        ("board_temperature_celsius", "Temperature of the processor", board.temperature),
        ("board_throttled", "1 while heat keeps the processor slower", board.throttled),
        ("board_under_voltage", "1 when the supply was too weak", board.under_voltage),
    ):
        if value is not None:
            yield _gauge(name, text, value)


def _counts(status: Status) -> Iterator[Metric]:
    yield _counter("readings_kept", "Readings on disk since the outbox was made", status.kept)
    yield _counter("readings_lost", "Readings given up since the outbox was made", status.lost)
    yield _gauge("readings_waiting", "Readings in memory until the next commit", status.waiting)


def _devices(devices: Iterable[DeviceStatus]) -> Iterator[Metric]:
    availability = _family(
        "device_availability", "1 for the one that the device has", "device", "availability"
    )
    silence = _family(
        "device_silence_seconds", "Since its last good frame; absent before the first", "device"
    )
    readings = _counted("device_readings", "Its readings kept in this epoch", "device")
    faults = _counted("device_faults", "Frames and answers that were no reading", "device", "fault")
    for device in devices:
        for one in _AVAILABILITIES:
            availability.add_metric([device.id, one], device.availability == one)
        if device.heard_s is not None:
            silence.add_metric([device.id], device.heard_s)
        readings.add_metric([device.id], device.seq)
        for kind, count in device.faults.items():
            faults.add_metric([device.id, kind], count)
    yield from (availability, silence, readings, faults)


def _uplinks(uplinks: Iterable[UplinkStatus]) -> Iterator[Metric]:
    connected = _family("uplink_connected", "1 while connected", "uplink")
    acknowledged = _counted("uplink_readings_acknowledged", "Readings that its broker has taken", "uplink")
    owed = _family("uplink_readings_owed", "Readings that were kept and not acknowledged yet", "uplink")
    in_flight = _family("uplink_readings_in_flight", "Readings sent and not acknowledged yet", "uplink")
    for uplink in uplinks:
        connected.add_metric([uplink.name], uplink.connected)
        acknowledged.add_metric([uplink.name], uplink.acknowledged)
        owed.add_metric([uplink.name], uplink.backlog)
        in_flight.add_metric([uplink.name], uplink.in_flight)
    yield from (connected, acknowledged, owed, in_flight)


def _buses(buses: Iterable[BusStatus]) -> Iterator[Metric]:
    well = _family("bus_up", "1 while its port is well", "bus")
    exchanges = _counted("bus_exchanges", "Requests, or frames of what speaks unasked", "bus")
    failures = _counted("bus_failures", "Exchanges that failed", "bus", "kind")
    skipped = _counted("bus_skipped_bytes", "Bytes that were in no frame", "bus")
    reopened = _counted("bus_reopened", "How often its port came back", "bus")
    busy = _family("bus_busy_ratio", "Share of the last minute in which it was taken", "bus")
    for bus in buses:
        well.add_metric([bus.id], not bus.problem)
        exchanges.add_metric([bus.id], bus.exchanges)
        for kind, count in bus.failures.items():
            failures.add_metric([bus.id, kind], count)
        skipped.add_metric([bus.id], bus.skipped)
        reopened.add_metric([bus.id], bus.reopened)
        if bus.busy is not None:
            busy.add_metric([bus.id], bus.busy)
    yield from (well, exchanges, failures, skipped, reopened, busy)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"edge_agent_{name}", text, value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"edge_agent_{name}", text, value)


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"edge_agent_{name}", text, labels=labels)


def _counted(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"edge_agent_{name}", text, labels=labels)
