"""Forecasts, held against what is measured: the outbox file, the bytes on a socket, the published table."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.clock import SystemClock
from edge_agent.driver import Channel, Quantity
from edge_agent.forecast import line_load, measured, traffic
from edge_agent.forecast.traffic import Source
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity, Policy
from edge_agent.reading import Reading
from edge_agent.settings.model import Config
from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.uplink.rig import GATEWAY, SITE, Rig, running, settings

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
BASE = {"config": 1, "gateway": {"site": SITE, "id": GATEWAY}}
POWER = Channel("power", Quantity.POWER)


def modbus(count: int, interval: str = "10s") -> Config:
    devices = {
        f"meter-{number}": {
            "driver": "modbus",
            "bus": "a",
            "interval": interval,
            "settings": {"profile": "eastron_sdm120", "address": number},
        }
        for number in range(1, count + 1)
    }
    bus = {"a": {"port": "/dev/ttyUSB0", "serial": "9600 8N1"}}
    return Config.model_validate(BASE | {"bus": bus, "device": devices})


def test_the_forecast_rests_on_what_was_published_last() -> None:
    rows = re.findall(
        r"^\| (\d+) \| (\d+) s \| [\d.,]+ \| ([\d,]+) \|", PAGE.read_text("utf-8"), re.MULTILINE
    )
    published = {(int(rate), int(window)): float(size.replace(",", "")) for rate, window, size in rows}
    # A run differs from the next by 1 %; by a tenth the agent itself has changed.
    assert published == pytest.approx(measured.WRITTEN, rel=0.1)


@pytest.mark.parametrize("count", [1, 5, 20])
async def test_a_kept_reading_takes_what_is_forecast(tmp_path: Path, count: int) -> None:
    names = [f"channel_{number}" for number in range(count)]
    clock, kept = SystemClock("always"), 15_000
    file = tmp_path / "outbox.db"
    outbox = await Outbox.open(
        file, Identity(SITE, GATEWAY), Policy(0.02, 20_000, 3600, 10**9), clock, ["city"]
    )
    await outbox.enroll("meter", "00000000", "{}", names)
    writer = asyncio.create_task(outbox.run())
    for number in range(kept):
        values = {name: (number * 37 + place * 11) % 50_000 / 100 for place, name in enumerate(names)}
        outbox.keep(Reading("meter", clock.mono_ms(), values))
    while outbox.waiting:  # noqa: ASYNC110 - a bounded wait: the suite's own limit
        await asyncio.sleep(0.02)
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    await outbox.close()
    channels = tuple(Channel(name, Quantity.VOLTAGE) for name in names)
    assert Source("meter", 1.0, channels, {}).row_bytes == pytest.approx(file.stat().st_size / kept, rel=0.12)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker") as served:
        yield served


async def test_a_message_is_as_large_as_forecast(broker: Broker, tmp_path: Path) -> None:
    async with running(tmp_path / "outbox.db", settings(broker.port)) as rig:
        await rig.connected()
        for _ in range(5):
            rig.keep(1)
            await rig.drained()
        sizes = [len(told.payload) for told in rig.acknowledged]
    envelope, item = traffic.payload_bytes(Config.model_validate(BASE), "meter-7", [POWER])
    assert envelope + item == pytest.approx(sum(sizes) / len(sizes), rel=0.1)


@dataclass
class Counted:
    """Bytes in both directions between an uplink and its broker."""

    broker: int
    seen: int = 0
    serving: list[asyncio.Task[None]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.append(task)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.broker)
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(65_536):
                self.seen += len(piece)
                writer.write(piece)
                await writer.drain()
        writer.close()


async def _quiet(rig: Rig) -> None:
    """Wait until all is said, also the state that is due, and acknowledged."""

    def quiet() -> bool:
        sending = rig.uplink._sending
        return sending is not None and "states" not in sending._timers and not sending.in_flight

    await rig.until(quiet)


async def test_an_uplink_sends_as_many_bytes_as_forecast(broker: Broker, tmp_path: Path) -> None:
    """One reading a second: with its message goes one of its device's state."""
    count, every = 3, 1.6  # of which each has a state with it, which goes out once a second
    counted = Counted(broker.port)
    async with await asyncio.start_server(counted.serve, "127.0.0.1", 0) as server:
        uplink = settings(server.sockets[0].getsockname()[1])
        async with running(tmp_path / "outbox.db", uplink) as rig:
            await rig.connected()
            await _quiet(rig)  # descriptions and first states
            before = counted.seen
            for _ in range(count):
                rig.keep(1)
                await rig.drained()
                await _quiet(rig)
            each = (counted.seen - before) / count
        await asyncio.wait(counted.serving)
    base = Config.model_validate(BASE)
    source = Source("meter-7", 1 / every, (POWER,), {})
    fixed = traffic.sent_bytes_s(base, uplink, [])
    below = 2 * measured.SEGMENTS * measured.SEGMENT_BYTES  # of TCP and IP, which is not seen here
    forecast = (traffic.sent_bytes_s(base, uplink, [source]) - fixed) * every - below
    assert forecast == pytest.approx(each, rel=0.2)


def test_a_busier_line_is_worked_out_from_what_is_asked() -> None:
    """An SDM120 at 9600 8N1: each request is 8 bytes out, 5 and twice the registers back, and turn-round."""
    (load,) = line_load.loads(modbus(1))
    (poll,) = load.polls
    assert poll.requests >= 1
    assert poll.seconds is not None
    assert load.busy == pytest.approx(poll.seconds / 10)
    (crowd,) = line_load.loads(modbus(20, "1s"))
    assert crowd.busy == pytest.approx(200 * load.busy)
    assert crowd.busy > 1


def test_other_lines_are_known_from_recorded_answers() -> None:
    told = BASE | {
        "bus": {"a": {"port": "/dev/ttyUSB0", "serial": "2400 8E1"}},
        "device": {
            "meter": {
                "driver": "dlt645",
                "bus": "a",
                "settings": {"profile": "dlt645_2007_single", "address": "000000000001"},
            }
        },
    }
    (load,) = line_load.loads(Config.model_validate(told))
    assert load.polls[0].seconds is not None
    assert load.polls[0].seconds > 0.1


def test_an_average_gives_fewer_and_longer_readings() -> None:
    (plain,) = traffic.sources(modbus(1))
    config = modbus(1)
    device = config.device["meter-1"].model_copy(update={"average": 60.0})
    (averaged,) = traffic.sources(config.model_copy(update={"device": {"meter-1": device}}))
    assert averaged.rate == pytest.approx(plain.rate / 6)
    assert {"power", "power_min", "power_max"} <= {channel.name for channel in averaged.channels}
    assert len(averaged.channels) > 2 * len(plain.channels)


def test_the_sums_are_right() -> None:
    found = traffic.sources(modbus(10))
    assert sum(source.rate for source in found) == pytest.approx(1.0)
    bench = [Source("m", 10.0, (POWER,) * measured.BENCH_VALUES, {})]
    assert traffic.written_bytes_s(bench, 1) == pytest.approx(10 * measured.WRITTEN[10, 1])
    assert traffic.written_bytes_s(bench, 10) == pytest.approx(10 * measured.WRITTEN[10, 10])
    slow = [Source("m", 0.01, (POWER,) * measured.BENCH_VALUES, {})]
    assert measured.WRITTEN[1, 1] < traffic.written_bytes_s(slow, 1) / 0.01 < 2 * measured.WRITTEN[1, 1]
    assert traffic.written_bytes_s([], 1) == 0


def test_an_uplink_costs_what_it_sends() -> None:
    all_of_it = modbus(10)
    plain = settings(1883)
    some = settings(1883, send={"devices": ["meter-1"]})
    whole, part = (traffic.sent_bytes_s(all_of_it, one, traffic.sources(all_of_it)) for one in (plain, some))
    assert 0 < part < whole
    rare = settings(1883, send={"batch": "5m"})
    assert traffic.sent_bytes_s(all_of_it, rare, traffic.sources(all_of_it)) < whole / 2
    tls = plain.model_copy(update={"servers": settings(1883, servers=["mqtts://b"]).servers})
    assert traffic.sent_bytes_s(all_of_it, tls, traffic.sources(all_of_it)) > whole
