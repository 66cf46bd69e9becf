"""An independent subscriber that collects all that a gateway sends, and a judge of what it collected.

The oracle of docs and promises: every reading that was kept is delivered at least once, or named in the loss
ledger; duplicates carry the same identity; nothing is delivered that was never read.
"""

import json
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.faults.store import Stored

Key = tuple[str, str]  # device, epoch


@dataclass
class Witness:
    """What was delivered, per device and epoch. ``lags``: arrival minus time of measurement, s, live lane."""

    readings: dict[Key, dict[int, tuple[int, int]]] = field(default_factory=lambda: defaultdict(dict))
    conflicts: list[str] = field(default_factory=list)
    duplicates: int = 0
    losses: dict[tuple[Key, int], dict[str, Any]] = field(default_factory=dict)
    settled: dict[Key, int] = field(default_factory=dict)
    history_back: int = 0  # times that a lane of a device went back, without a session change
    lags: list[tuple[float, float]] = field(default_factory=list)  # (monotonic time of arrival, lag)
    lanes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    clocks: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    ranks: dict[tuple[Key, int], tuple[str, int]] = field(default_factory=dict)
    retained: dict[str, dict[str, Any]] = field(default_factory=dict)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    healths: int = 0
    subscribed: int = 0  # how often: once more each time that the broker is back
    messages: int = 0
    largest: int = 0
    _heard: threading.Condition = field(default_factory=threading.Condition)
    _last: dict[tuple[Key, str], int] = field(default_factory=dict)

    def hear(self, topic: str, payload: bytes) -> None:
        """Take one message."""
        kind = topic.split("/")[4] if topic.count("/") >= 4 else ""
        with self._heard:
            self.messages += 1
            self.largest = max(self.largest, len(payload))
            try:
                self._take(topic, kind, payload)
            except (ValueError, LookupError, TypeError) as error:  # raised here, it would end paho's thread
                self.conflicts.append(f"{topic}: {type(error).__name__} {error}: {payload[:200]!r}")
            self._heard.notify_all()

    def subscribes(self) -> None:
        """It is connected, and what comes from now on is heard."""
        with self._heard:
            self.subscribed += 1
            self._heard.notify_all()

    def _take(self, topic: str, kind: str, payload: bytes) -> None:
        if kind in {"data", "history"}:
            self._data(json.loads(payload))
        elif kind == "loss":
            self._loss(json.loads(payload))
        elif kind == "health":
            self.healths += 1
        elif payload:
            said = json.loads(payload)
            self.retained[topic.split("/", 4)[4]] = said
            if kind == "status":
                self.statuses.append(said)

    def _data(self, said: dict[str, Any]) -> None:
        key = said["device"], said["epoch"]
        lane, items = said["lane"], said["readings"]
        self.lanes[lane] += len(items)
        self.settled[key] = max(self.settled.get(key, 0), said["settled"])
        if items[0]["seq"] < self._last.get((key, lane), 0):
            self.history_back += 1
        self._last[key, lane] = items[-1]["seq"]
        if lane == "live":
            self.lags.append((time.monotonic(), time.time() - items[0]["ts"] / 1000))
        known = self.readings[key]
        for item in items:
            seq, n, check = item["seq"], item["values"]["temperature"], item["values"]["humidity"]
            clock = item.get("clock", "")
            self.clocks[clock] += 1
            self.conflicts += _wrongly_bounded(item)
            if check != n * 7 % 101:
                self.conflicts.append(f"{key} seq {seq} says {n} with {check}")
            before = known.get(seq)
            if before is None:
                known[seq] = n, item["ts"]
            else:
                self.duplicates += 1
                if before[0] != n:
                    self.conflicts.append(f"{key} seq {seq} says {n}, and {before[0]} before")
                elif before[1] != item["ts"] and clock == self.ranks.get((key, seq), ("", 0))[0]:
                    self.conflicts.append(f"{key} seq {seq} was made at {item['ts']}, and {before[1]} before")
                elif clock != "unsynchronised":
                    known[seq] = n, item["ts"]
            if clock:
                self.ranks[key, seq] = clock, item["ts"]

    def _loss(self, said: dict[str, Any]) -> None:
        key = said["device"], said["epoch"]
        before = self.losses.setdefault((key, said["seq"]), said)
        same = "from_seq", "reason"
        if any(before[name] != said[name] for name in same):
            self.conflicts.append(f"{key}: loss {said['seq']} is {said}, and was {before}")
        self.losses[key, said["seq"]] = said

    def wait(self, holds: Callable[["Witness"], object], within: float) -> bool:
        """Wait until what was heard satisfies; call it off the loop. Returns whether it did."""
        with self._heard:
            return bool(self._heard.wait_for(lambda: holds(self), within))

    @property
    def distinct(self) -> int:
        return sum(map(len, self.readings.values()))

    def live_p99(self, since: float = 0.0) -> float:
        """The 99th percentile of live lag in seconds, of what arrived after a monotonic time."""
        lags = sorted(lag for at, lag in self.lags if at >= since)
        return lags[min(len(lags) - 1, len(lags) * 99 // 100)] if lags else float("inf")


def _wrongly_bounded(item: dict[str, Any]) -> list[str]:
    """Say what is wrong with a reading's bounds: a time that is not known has them, and no other."""
    bounded = "ts_bounds" in item
    return [f"bounds: {item}"] if bounded != (item.get("clock") == "unsynchronised") else []


@contextmanager
def watching(port: int, topics: str = "park/v1/#") -> Iterator[Witness]:
    """Subscribe with QoS 1 and a session that outlives the connection, from a thread, until left."""
    witness = Witness()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"witness-{port}", protocol=paho.MQTTv5)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    properties.SessionExpiryInterval = 86_400

    def connected(_c: paho.Client, _u: object, _f: object, _r: object, _p: object) -> None:
        client.subscribe(topics, 1)

    client.on_connect = connected
    client.on_subscribe = lambda *_: witness.subscribes()
    client.on_message = lambda _c, _u, message: witness.hear(message.topic, bytes(message.payload))
    client.reconnect_delay_set(1, 1)
    client.connect("127.0.0.1", port, 30, clean_start=False, properties=properties)
    client.loop_start()
    try:
        assert witness.wait(lambda heard: heard.subscribed, 60), (
            "the broker does not let the witness subscribe"
        )
        yield witness
    finally:
        client.disconnect()
        client.loop_stop()


@dataclass(frozen=True, slots=True)
class Counts:
    """The judgement of one scenario."""

    read: int  # at most so many were read
    kept: int  # numbers that the outbox gave
    delivered: int
    duplicates: int
    declared: int  # readings in the loss ledger as it was delivered
    missing: int  # kept, not delivered, not declared
    unkept: int  # read, and not kept where a kill does not excuse it
    excused: int  # read within the window before a kill, and not kept
    open_ended: int  # declarations that close an epoch: nobody knows how many they are
    twice: int  # one reading under two numbers
    invented: int  # delivered, and never read or never kept
    conflicts: int

    def check(self) -> None:
        """Fail unless every promise held."""
        faults = {
            name: count
            for name, count in asdict(self).items()
            if name in {"missing", "twice", "invented", "conflicts"} and count
        }
        assert not faults, f"{self}"
        known = self.unkept <= self.declared or self.open_ended
        assert known, f"readings vanished before they were kept: {self}"


def judge(
    witness: Witness, stored: Stored, truth: Path, kills: list[int] | None = None, window_ms: int = 1000
) -> Counts:
    """Compare what was read, what the outbox holds and what arrived.

    ``kills``: instants of SIGKILL, monotonic ms; what was read less than ``window_ms`` before may be missing.
    """
    delivered = missing = declared = invented = twice = unkept = excused = kept = 0
    said: dict[str, set[int]] = defaultdict(set)
    for key, seqs in witness.readings.items():
        top = stored.tops.get(key, 0)
        delivered += len(seqs)
        invented += sum(1 for seq in seqs if seq > top)
        for n, _ in seqs.values():
            twice += n in said[key[0]]
            said[key[0]].add(n)
    for key, top in stored.tops.items():
        kept += top
        arrived = set(witness.readings.get(key, ()))
        given_up: set[int] = set()
        for (of, _), loss in witness.losses.items():
            if of == key:
                last = top if loss["to_seq"] is None else loss["to_seq"]
                given_up.update(range(loss["from_seq"], last + 1))
        declared += len(given_up - arrived)
        missing += sum(1 for seq in range(1, top + 1) if seq not in arrived and seq not in given_up)
    for (key, seq), n in stored.readings.items():
        there = witness.readings.get(key, {}).get(seq)
        invented += there is not None and there[0] != n
    open_ended = sum(loss["to_seq"] is None for loss in witness.losses.values())
    read = 0
    for record in truth.iterdir():
        ticks = [tuple(map(int, line.split())) for line in record.read_text("ascii").splitlines()]
        last = ticks[-1][1] if ticks else 0
        read += last
        invented += sum(1 for n in said[record.name] if not 1 <= n <= last)
        tops = [n for _, n in ticks]
        for n in range(1, last + 1):
            if n not in said[record.name]:
                at = ticks[bisect_left(tops, n)][0]
                near = any(0 <= kill - at <= window_ms for kill in kills or ())
                excused, unkept = excused + near, unkept + (not near)
    return Counts(
        read, kept, delivered, witness.duplicates, declared, missing, unkept, excused, open_ended, twice,
        invented, len(witness.conflicts),
    )  # fmt: skip
