"""One BLE adapter: a scan that is kept alive, and who is told what it hears.

Nothing here ends the agent or disturbs another bus: a radio that cannot be used says why, and tries again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from time import monotonic

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs, OrPattern
from bleak.assigned_numbers import AdvertisementDataType
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from edge_agent.bus.ble.remedy import reason
from edge_agent.bus.ble.watcher import LOST, Event, Watcher
from edge_agent.driver import Advertisement, Broadcast

log = logging.getLogger(__name__)

ERRORS = (BleakError, *LOST, KeyError, AttributeError, AssertionError)
"""What bleak 3.1 raises when BlueZ is in an odd state: not all of it is its own."""

_CACHE_S = 0.1  # bleak's own picture of BlueZ must follow the signal that we saw
_WE_CHANGED = "devices came or went"
_TRIES_BEFORE_OTHER_MODE = 4
_SILENCES = 3  # expected intervals
_MOST_SEEN = 500  # addresses of which it is remembered what they said: phones change theirs all the time
_MOST_PATTERNS = 16  # of the kernel's management interface

Hearer = Callable[[Advertisement, bool], None]
"""Is told an advertisement, and whether what it cares for in it is new."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a radio is, in seconds.

    ``silence`` is right at least that long, ``silence_of_nobody`` when no device is online; in vain it is
    doubled each time, up to ``longest_silence``.
    """

    start: float = 15.0
    retry: float = 1.0
    longest_retry: float = 60.0
    silence: float = 90.0
    silence_of_nobody: float = 600.0
    longest_silence: float = 3600.0
    power_cycle_each: float = 3600.0
    off: float = 1.0
    bus_retry: float = 2.0


@dataclass(frozen=True, slots=True)
class _Ear:
    """Who is told, of what. ``address`` "": of any device."""

    address: str
    cares: Broadcast
    tell: Hearer


class Radio:
    """One adapter. ``problem`` is "" while it scans; ``restarts`` and ``power_cycles`` count the healing.

    ``expect`` returns the shortest interval, in seconds, at which a device that is online should be heard;
    None when none is.
    """

    def __init__(
        self,
        adapter: str,
        *,
        active: bool,
        expect: Callable[[], float | None],
        pace: Pace = Pace(),
    ) -> None:
        self.adapter = adapter
        self.problem = "starting"
        self.passive = not active
        self.heard = 0
        self.restarts = 0
        self.power_cycles = 0
        self.seen: dict[str, BLEDevice | None] = {}  # those that are connected to; None: not there now
        self.lost = asyncio.Event()  # set while connections are dead
        self.connecting = asyncio.Lock()  # one connection at a time
        self._expect = expect
        self._by_address: dict[str, list[_Ear]] = {}
        self._last: dict[tuple[str, int], object] = {}  # what an ear was told last of an address
        self._good, self._bad = asyncio.Event(), asyncio.Event()
        self._why = ""
        self._heard_at = monotonic()
        self._silences = 0
        self._pace = pace
        self._cycled_at = -pace.power_cycle_each
        self._watcher = Watcher(adapter, self._event, pace.bus_retry)

    def listen(self, address: str, cares: Broadcast, tell: Hearer) -> Callable[[], None]:
        """Tell someone of a device, or, with no address, of any that broadcasts what he cares for.

        Who names neither services nor companies cares for all that is said. Returns what ends it.
        """
        ear = _Ear(address, cares, tell)
        self._by_address.setdefault(address, []).append(ear)
        self._scan_anew()

        def end() -> None:
            self._by_address[address].remove(ear)
            self._last.clear()  # it may hold what this one was told
            self._scan_anew()

        return end

    def watch_for(self, address: str) -> Callable[[], None]:
        """Remember where a device is, to connect to it: passive scans tell not. Returns what ends it."""
        self.seen.setdefault(address, None)
        self._scan_anew()

        def end() -> None:
            self.seen.pop(address, None)
            self._scan_anew()

        return end

    def _ears(self) -> Iterator[_Ear]:
        return chain.from_iterable(self._by_address.values())

    def _scan_anew(self) -> None:
        """What a scan must tell of has changed."""
        self.passive = self.passive and not self._needs_active()
        self._why = _WE_CHANGED
        self._bad.set()

    async def run(self) -> None:
        """Scan for ever."""
        watcher = asyncio.create_task(self._watcher.run(), name=f"bus[{self.adapter}].watcher")
        try:
            await self._keep_scanning()
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher

    async def _keep_scanning(self) -> None:
        wait, failures, pause = self._pace.retry, 0, _CACHE_S
        while True:
            await self._watched()
            self._good.clear()
            self._bad.clear()
            scanner = self._made()
            try:
                async with asyncio.timeout(self._pace.start):
                    await scanner.start()
            except ERRORS as error:
                await self._stopped(scanner)
                if not self._went_active(error):
                    failures += 1
                    wait = await self._put_off(error, wait, failures)
                continue
            if not self._watcher.watching.is_set():  # the bus came back just now
                await self._stopped(scanner)
                continue
            wait, failures, began = self._pace.retry, 0, monotonic()
            self._scans()
            try:
                why = await self._until_broken()
            finally:
                await self._stopped(scanner)
            self.restarts += 1
            self._says(f"scan restarts: {why}")
            if self._silences > 1 and monotonic() - self._cycled_at >= self._pace.power_cycle_each:
                await self._cycle_power()
            if monotonic() - began >= self._pace.longest_retry:
                pause = _CACHE_S
            await asyncio.sleep(_CACHE_S if why == _WE_CHANGED else pause)
            if why != _WE_CHANGED:  # an adapter that flaps may hear something each time: that says nothing
                pause = min(pause * 2, self._pace.longest_retry)

    async def _watched(self) -> None:
        """Wait a moment for the watcher: a scan that begins unwatched could end so, too."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pace.retry):
                await self._watcher.watching.wait()

    def _made(self) -> BleakScanner:
        options = BlueZScannerArgs(adapter=self.adapter)
        patterns = _patterns(ear.cares for ear in self._ears())
        if self.passive and 0 < len(patterns) <= _MOST_PATTERNS:
            options["or_patterns"] = patterns
            return BleakScanner(self._hear, scanning_mode="passive", bluez=options)
        self.passive = False
        if any(ear.cares.repeats for ear in self._ears()):
            options["filters"] = {"DuplicateData": True}  # else BlueZ tells of changes only
        return BleakScanner(self._hear, scanning_mode="active", bluez=options)

    async def _stopped(self, scanner: BleakScanner) -> None:
        """End a scan, whatever state it is in."""
        with contextlib.suppress(*ERRORS):
            async with asyncio.timeout(self._pace.start):
                await scanner.stop()

    def _went_active(self, error: BaseException) -> bool:
        """Scan actively from now on, if passive scans are refused."""
        if not self.passive or "passive scanning on Linux requires" not in str(error):
            return False
        log.warning(
            "bus[%s]: bluetoothd refuses passive scans, so devices are asked too, which costs their "
            "batteries; set Experimental = true in /etc/bluetooth/main.conf",
            self.adapter,
        )
        self.passive = False
        return True

    async def _put_off(self, error: BaseException, wait: float, failures: int) -> float:
        """Wait until it is worth trying again, and return how long to wait the next time."""
        if failures % _TRIES_BEFORE_OTHER_MODE == 0 and not self._needs_active():
            self.passive = not self.passive
        self._says(reason(error))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._good.wait()
        if self._good.is_set():
            await asyncio.sleep(_CACHE_S)
            return self._pace.retry
        return min(wait * 2, self._pace.longest_retry)

    def _needs_active(self) -> bool:
        """Say whether a passive scan would miss someone."""
        return bool(self.seen) or any(ear.cares.active or ear.cares.repeats for ear in self._ears())

    def _scans(self) -> None:
        if self.problem:
            mode = "passively" if self.passive else "actively"
            log.info("bus[%s]: scans %s (it was: %s)", self.adapter, mode, self.problem)
        self.problem = ""
        self.lost.clear()
        self._heard_at = monotonic()

    def _says(self, problem: str) -> None:
        if self.problem != problem:
            log.warning("bus[%s]: %s", self.adapter, problem)
        self.problem = problem

    async def _until_broken(self) -> str:
        """Return why a running scan must be started anew."""
        while True:
            left = self._heard_at + self._patience() - monotonic()
            if left <= 0:
                self._silences += 1
                return "nothing was heard for a long time"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, self._pace.silence)):  # who is expected may change
                    await self._bad.wait()
                return self._why

    def _patience(self) -> float:
        """Return how long silence is nothing to worry about, in seconds; longer each time it was in vain."""
        expected = self._expect()
        pace = self._pace
        usual = pace.silence_of_nobody if expected is None else max(pace.silence, _SILENCES * expected)
        return float(min(usual * 2 ** min(self._silences, 16), max(usual, pace.longest_silence)))

    async def _cycle_power(self) -> None:
        self._cycled_at = monotonic()
        self.power_cycles += 1
        log.warning("bus[%s]: a new scan did not help, so the adapter is switched off and on", self.adapter)
        with contextlib.suppress(*LOST):
            await self._watcher.power(on=False)
            await asyncio.sleep(self._pace.off)
        with contextlib.suppress(*LOST):
            await self._watcher.power(on=True)

    def _event(self, event: Event, what: str) -> None:
        if event is Event.GOOD:
            self._good.set()
            return
        if event is Event.SCAN_ENDED and self.passive:
            return  # another program's: passive scans are no discovery sessions
        if event is Event.LOST:
            self.lost.set()
            self.seen = dict.fromkeys(self.seen)
        self._why = what
        self._bad.set()

    def _hear(self, device: BLEDevice, said: AdvertisementData) -> None:
        self.heard += 1
        self._heard_at, self._silences = monotonic(), 0
        if device.address in self.seen:
            self.seen[device.address] = device
        mine = self._by_address.get(device.address, ())
        anyone = self._by_address.get("", ())
        if not mine and not anyone:
            return
        advert = Advertisement(
            device.address, said.local_name or "", said.rssi, said.service_data, said.manufacturer_data
        )
        for ear in (*mine, *anyone):
            self._tell(ear, advert)

    def _tell(self, ear: _Ear, advert: Advertisement) -> None:
        said = _cared_for(ear.cares, advert)
        if not said:
            if ear.address or not (ear.cares.services or ear.cares.companies):
                ear.tell(advert, False)  # something else of this device: it is there, and says nothing new
            return
        key = advert.address, id(ear)
        new = ear.cares.repeats or self._last.get(key) != said
        if new:
            if len(self._last) >= _MOST_SEEN:
                self._last.clear()
            self._last[key] = said
        ear.tell(advert, new)


def _cared_for(cares: Broadcast, advert: Advertisement) -> tuple[object, ...]:
    """Return what of an advertisement concerns someone. BlueZ merges all that a device ever said."""
    services, makers = advert.service_data, advert.manufacturer_data
    if not cares.services and not cares.companies:
        return (*services.items(), *makers.items())
    return (
        *((uuid, services[uuid]) for uuid in cares.services if uuid in services),
        *((company, makers[company]) for company in cares.companies if company in makers),
    )


def _patterns(cares: Iterable[Broadcast]) -> list[OrPattern | tuple[int, AdvertisementDataType, bytes]]:
    """Return what bluetoothd is to pass on in a passive scan. A pattern on flags would miss many sensors."""
    wanted: dict[tuple[AdvertisementDataType, bytes], None] = {}
    for each in cares:
        for uuid in each.services:
            wanted[AdvertisementDataType.SERVICE_DATA_UUID16, bytes.fromhex(uuid[4:8])[::-1]] = None
        for company in each.companies:
            wanted[AdvertisementDataType.MANUFACTURER_SPECIFIC_DATA, company.to_bytes(2, "little")] = None
    return [OrPattern(0, kind, content) for kind, content in wanted]
