"""A gateway's outbox and uplink in this process, for one test: real but for the devices."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.backoff import Backoff
from edge_agent.clock import Clock, SystemClock
from edge_agent.contract.messages import ChannelMeta, MetaMessage
from edge_agent.event import Event
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity, Policy
from edge_agent.reading import Reading
from edge_agent.settings.uplink import Uplink as Settings
from edge_agent.status import Status
from edge_agent.uplink.downlink import Downlink, Executor
from edge_agent.uplink.interfaces import Acknowledged, Gateway
from edge_agent.uplink.uplink import Uplink

SITE, GATEWAY = "east-park", "gw-01"
BASE = f"park/v1/{SITE}/{GATEWAY}"
DEVICES = ("meter-7", "room-2")
_WITHIN = 60.0  # seconds, of the 120 that a test has: waiting that succeeds costs nothing


async def _until(holds: Callable[[], object], within: float, told: Callable[[], object]) -> None:
    try:
        async with asyncio.timeout(within):
            while not holds():  # noqa: ASYNC110 - other processes decide, and do not tell
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {within} s: {told()}") from None


@dataclass
class Rig:
    """One gateway. ``acknowledged`` are the messages of readings that a broker took."""

    outbox: Outbox
    gateway: Gateway
    uplink: Uplink
    acknowledged: list[Acknowledged] = field(default_factory=list)
    _made: int = 0

    def keep(self, count: int, device: str = DEVICES[0]) -> None:
        """Read so many readings; the n-th of the test says n."""
        for _ in range(count):
            self._made += 1
            self.outbox.keep(Reading(device, self.outbox._clock.mono_ms(), {"power": self._made}))

    async def until(self, holds: Callable[[], object], within: float = _WITHIN) -> None:
        """Wait until something holds; fail with the uplink's status."""
        await _until(holds, within, self.uplink.status)

    async def connected(self) -> None:
        """Wait for a connection."""
        await self.until(lambda: self.uplink.status().connected)

    async def drained(self) -> None:
        """Wait until nothing waits and nothing is owed."""
        await self.until(lambda: not self.outbox.waiting and not self.uplink.status().backlog)

    def numbers(self) -> list[tuple[str, int]]:
        """Device and seq of all that was acknowledged, in order."""
        return [(told.device, seq) for told in self.acknowledged for seq in range(told.first, told.last + 1)]


class UnknownClock:
    """A clock that runs, and is not believed."""

    boot_id = "00000000-0000-0000-0000-000000000001"

    def mono_ms(self) -> int:
        """Return the machine's."""
        return SystemClock("always").mono_ms()

    def wall_ms(self) -> int:
        """Return 1970, about."""
        return self.mono_ms() + 5

    def trusted(self) -> bool:
        """Say no."""
        return False


def settings(port: int, **more: Any) -> Settings:
    """Return an uplink's settings as a configuration would give them.

    No broker is so slow that its acknowledgements are given up: then readings would come twice, in another
    session. Who tests that says so.
    """
    given = {
        "servers": [f"mqtt://127.0.0.1:{port}"],
        "client_id": "gw-01",
        "spread": "0s",
        "ack_timeout": "60s",
    }
    return Settings.model_validate(given | more)


def _meta(device: str) -> MetaMessage:
    channels = {"power": ChannelMeta(quantity="power", unit="W", kind="gauge")}
    said = {
        "site": SITE,
        "gateway": GATEWAY,
        "device": device,
        "hash": f"{len(device):08x}",
        "channels": channels,
    }
    return MetaMessage.model_validate(said)


@asynccontextmanager
async def running(  # noqa: PLR0913 - each is a knob that one test turns
    folder: Path,
    uplink: Settings,
    *,
    clock: Clock | None = None,
    clock_wait: float = 120.0,
    retry: float = 0.2,
    replay: float = 3600,
    start: bool = True,
    carry_out: Mapping[str, Executor] | None = None,
) -> AsyncIterator[Rig]:
    """Open an outbox in a folder and run an uplink on it. ``retry``: the most that its back-off waits."""
    clock = clock or SystemClock("always")
    outbox = await Outbox.open(
        folder / "outbox.db", Identity(SITE, GATEWAY), Policy(0.02, 20_000, replay, 10**9), clock, ["city"]
    )
    metas = {device: _meta(device) for device in DEVICES}
    for device, meta in metas.items():
        await outbox.enroll(device, meta.hash, meta.payload().decode(), list(meta.channels))
    await outbox.events.enroll()
    since = clock.mono_ms()
    gateway = Gateway(
        site=SITE,
        id=GATEWAY,
        epoch=outbox.epoch,
        version="1.0.0",
        metas={device: meta.payload().decode() for device, meta in metas.items()},
        now=lambda: outbox.timeline.moment(outbox.timeline.boot, clock.mono_ms()),
        moment=outbox.timeline.moment,
        offset=outbox.timeline.offset,
        clock_known=outbox.clock_known,
        clock_wait=clock_wait,
        availability=lambda _device: ("online", outbox.timeline.moment(outbox.timeline.boot, since).ts, ""),
        snapshot=lambda: _snapshot(outbox),
        retire=lambda device: outbox.events.tell(Event("retired", device, clock.mono_ms()), "city"),
    )
    told: list[Acknowledged] = []
    made = Uplink("city", uplink, gateway, outbox.deliveries["city"], told.append)
    if carry_out is not None:
        made.take_commands(Downlink(uplink, gateway, outbox.commands, {**made.commands(), **carry_out}))
    made._backoff = Backoff(retry / 4, retry)
    writer = asyncio.create_task(outbox.run())
    runs = asyncio.create_task(made.run() if start else asyncio.sleep(0))
    try:
        yield Rig(outbox, gateway, made, told)
    finally:
        for task in (runs, writer):
            task.cancel()
        gone = await asyncio.gather(runs, writer, return_exceptions=True)
        await outbox.close()
        for error in gone:
            if isinstance(error, Exception):
                raise error


def _snapshot(outbox: Outbox) -> Status:
    return Status(
        site=SITE, gateway=GATEWAY, epoch=outbox.epoch, uptime_s=1, kept=outbox.kept, waiting=outbox.waiting,
        lost=outbox.lost, clock="synchronised", disk_free_mb=1, rss_mb=1, problem="", devices=(), uplinks=(),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as ``mosquitto_sub`` printed it."""

    topic: str
    retained: bool
    payload: dict[str, Any]

    @property
    def kind(self) -> str:
        """The topic's fifth level: status, data and so on."""
        return self.topic.split("/")[4]


class Listener:
    """``mosquitto_sub``: what a backend hears. Its session outlives its connections."""

    def __init__(self, *options: str) -> None:
        self.heard: list[Heard] = []
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Subscribe; return once the broker has taken the subscription."""
        common = ("mosquitto_sub", "-q", "1", "-c", "-i", "listener", "-t", "#", *self._options)
        first = await asyncio.create_subprocess_exec(*common, "-E")
        async with asyncio.timeout(_WITHIN):
            assert await first.wait() == 0
        self._process = await asyncio.create_subprocess_exec(
            *common, "-F", "%t %r %p", stdout=asyncio.subprocess.PIPE
        )
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            topic, retained, payload = line.decode().split(" ", 2)
            said = json.loads(payload) if payload.strip() else {}  # which clears what is retained
            self.heard.append(Heard(topic, retained == "1", said))

    def of(self, kind: str) -> list[Heard]:
        """The messages of a kind."""
        return [heard for heard in self.heard if heard.kind == kind]

    def statuses(self) -> list[tuple[str, int]]:
        """State and session of each status message."""
        return [(said.payload["state"], said.payload["session"]) for said in self.of("status")]

    @property
    def last_status(self) -> tuple[str, int] | None:
        """State and session of the last one, None before the first."""
        return next(reversed(self.statuses()), None)

    def readings(self) -> dict[tuple[str, str], dict[int, Any]]:
        """All readings by device and epoch; fail when one number came with two contents."""
        found: dict[tuple[str, str], dict[int, Any]] = {}
        for heard in [*self.of("data"), *self.of("history")]:
            known = found.setdefault((heard.payload["device"], heard.payload["epoch"]), {})
            for item in heard.payload["readings"]:
                assert known.setdefault(item["seq"], item) == item, "one identity, two contents"
        return found

    async def until(self, holds: Callable[[], object], within: float = _WITHIN) -> None:
        """Wait until something holds; fail with what was heard last."""
        await _until(holds, within, lambda: "\n".join(map(str, self.heard[-9:])))

    async def stop(self) -> None:
        """End it."""
        if self._process is not None and self._reading is not None:
            self._process.terminate()
            async with asyncio.timeout(60):
                await self._process.wait()
                await self._reading


@asynccontextmanager
async def listening(port: int, *options: str) -> AsyncIterator[Listener]:
    """Listen to a broker on loopback. ``options`` are those of ``mosquitto_sub``."""
    listener = Listener("-h", "127.0.0.1", "-p", str(port), *options)
    try:
        await listener.start()
        yield listener
    finally:
        await listener.stop()
