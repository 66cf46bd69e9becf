"""One BLE adapter: a scan that is kept alive, and who is told what it hears.

Nothing here ends the agent or disturbs another bus: a radio that cannot be used says why, and tries again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs, OrPattern
from bleak.assigned_numbers import AdvertisementDataType
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from edge_agent.bus.ble.watcher import LOST, Event, Watcher
from edge_agent.driver import Advertisement, Broadcast

log = logging.getLogger(__name__)

ERRORS = (BleakError, *LOST, KeyError, AttributeError, AssertionError)
"""What bleak 3.1 raises when BlueZ is in an odd state: not all of it is its own."""

_START_S = 15.0
_SHORTEST_RETRY_S, _LONGEST_RETRY_S = 1.0, 60.0
_CACHE_S = 0.1  # bleak's own picture of BlueZ must follow the signal that we saw
_TRIES_BEFORE_OTHER_MODE = 4
_LEAST_SILENCE_S, _SILENCES = 90.0, 3
_SILENCE_OF_NOBODY_S = 600.0  # when no device is online, silence may be right
_LONGEST_SILENCE_S = 3600.0
_POWER_CYCLE_EACH_S = 3600.0
_OFF_S = 1.0
_MOST_SEEN = 500  # addresses that bleak may remember: phones change theirs every few minutes
_MOST_PATTERNS = 16  # of the kernel's management interface

Hearer = Callable[[Advertisement, bool], None]
"""Is told an advertisement, and whether what it cares for in it is new."""


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

    def __init__(self, adapter: str, *, active: bool, expect: Callable[[], float | None]) -> None:
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
        self._ears: list[_Ear] = []
        self._by_address: dict[str, list[_Ear]] = {}
        self._last: dict[tuple[str, int], object] = {}  # what an ear was told last of an address
        self._good, self._bad = asyncio.Event(), asyncio.Event()
        self._why = ""
        self._heard_at = monotonic()
        self._silences = 0
        self._cycled_at = -_POWER_CYCLE_EACH_S
        self._watcher = Watcher(adapter, self._event)
        self._scanner: BleakScanner | None = None

    def listen(self, address: str, cares: Broadcast, tell: Hearer) -> None:
        """Tell someone of a device, or, with no address, of any that broadcasts what he cares for."""
        ear = _Ear(address, cares, tell)
        self._ears.append(ear)
        self._by_address.setdefault(address, []).append(ear)
        if cares.active or cares.repeats:
            self.passive = False

    def watch_for(self, address: str) -> None:
        """Remember where a device is, so that it can be connected to."""
        self.seen.setdefault(address, None)

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
        wait, failures = _SHORTEST_RETRY_S, 0
        while True:
            self._good.clear()
            self._bad.clear()
            scanner = self._scanner = self._made()
            try:
                async with asyncio.timeout(_START_S):
                    await scanner.start()
            except ERRORS as error:
                await self._stopped(scanner)
                if not self._went_active(error):
                    failures += 1
                    wait = await self._put_off(error, wait, failures)
                continue
            wait, failures = _SHORTEST_RETRY_S, 0
            self._scans()
            try:
                why = await self._until_broken()
            finally:
                await self._stopped(scanner)
            self.restarts += 1
            self._says(f"scan restarts: {why}")
            if self._silences > 1 and monotonic() - self._cycled_at >= _POWER_CYCLE_EACH_S:
                await self._cycle_power()
            await asyncio.sleep(_CACHE_S)

    def _made(self) -> BleakScanner:
        options = BlueZScannerArgs(adapter=self.adapter)
        patterns = _patterns(ear.cares for ear in self._ears)
        if self.passive and len(patterns) <= _MOST_PATTERNS:
            options["or_patterns"] = patterns
            return BleakScanner(self._hear, scanning_mode="passive", bluez=options)
        self.passive = False
        if any(ear.cares.repeats for ear in self._ears):
            options["filters"] = {"DuplicateData": True}  # else BlueZ tells of changes only
        return BleakScanner(self._hear, scanning_mode="active", bluez=options)

    async def _stopped(self, scanner: BleakScanner) -> None:
        """End a scan, whatever state it is in."""
        with contextlib.suppress(*ERRORS):
            async with asyncio.timeout(_START_S):
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
        if failures % _TRIES_BEFORE_OTHER_MODE == 0 and not any(
            ear.cares.active or ear.cares.repeats for ear in self._ears
        ):
            self.passive = not self.passive
        self._says(_reason(error))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._good.wait()
        if self._good.is_set():
            await asyncio.sleep(_CACHE_S)
            return _SHORTEST_RETRY_S
        return min(wait * 2, _LONGEST_RETRY_S)

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
                async with asyncio.timeout(left):
                    await self._bad.wait()
                return self._why

    def _patience(self) -> float:
        """Return how long silence is nothing to worry about, in seconds; longer each time it was in vain."""
        expected = self._expect()
        usual = _SILENCE_OF_NOBODY_S if expected is None else max(_LEAST_SILENCE_S, _SILENCES * expected)
        return float(min(usual * 2**self._silences, max(usual, _LONGEST_SILENCE_S)))

    async def _cycle_power(self) -> None:
        self._cycled_at = monotonic()
        self.power_cycles += 1
        log.warning("bus[%s]: a new scan did not help, so the adapter is switched off and on", self.adapter)
        with contextlib.suppress(*LOST):
            await self._watcher.power(on=False)
            await asyncio.sleep(_OFF_S)
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
        if self._scanner is not None:
            seen = self._scanner._backend.seen_devices  # noqa: SLF001 - bleak forgets nobody by itself
            if len(seen) > _MOST_SEEN:
                seen.clear()
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
            if ear.address:
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


def _reason(error: BaseException) -> str:
    """Word why no scan could be started, with the remedy."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    hints: Mapping[str, str] = {
        "ServiceUnknown": "bluetoothd does not run; sudo systemctl start bluetooth",
        "FileNotFoundError": "there is no system bus; is this a container? mount /run/dbus",
        "not found": "there is no such adapter; plug it in, or see bluetoothctl list",
        "NotReady": "the adapter has no power; bluetoothctl power on, or rfkill unblock bluetooth",
        "POWERED_OFF": "the adapter has no power; bluetoothctl power on, or rfkill unblock bluetooth",
        "AccessDenied": "this user may not use bluetooth; let it reach the system bus",
    }
    return next((f"{hint} ({text})" for mark, hint in hints.items() if mark in text), text)
