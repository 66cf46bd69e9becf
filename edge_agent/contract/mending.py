"""Close the gaps that a follower sees: ask gateways for replays, few and coarse, until nothing is missing.

For backends in Python. Pure, as the follower: commands out, answers in, the caller's clock::

    mending = Mending(follower, by="ingest-1-4f2a")
    for ask in mending.due(now_ms):  # once a second, say, while connected
        client.publish(ask.topic, ask.payload, qos=1)  # MQTT 5: with the message expiry ask.expiry_s
    mending.hear(topic, payload, now_ms)  # of every message on {root}/+/+/reply/replay

A gap is asked for when nothing of it has come for a while. The answer says what comes, what comes by itself,
and what is gone. What was asked for and comes no further, since the broker dropped it once more, is asked
for again: half as much at a time, and later and later.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from edge_agent.contract.commands import ReplayArgs, ReplayResult
from edge_agent.contract.follow import Follower, Key
from edge_agent.contract.messages import CmdMessage, ReplyMessage
from edge_agent.contract.stream import MOST_ASKED
from edge_agent.contract.topics import ROOT

EXPIRY_S = 60
"""How long a command is good for; a gateway that is away for longer never gets it."""

_MOST_OPEN = 4  # gateways at a time: all that they send comes through one queue of the broker
_LEAST_ASKED = 500
_OLD_MS = 5_000  # what is younger may be on its way on another path
_STILL_MS = 20_000  # nothing came for so long: nothing more will
_WAIT_MS = 5_000
_WAIT_MOST_MS = 600_000
_SILENT = "no answer; it must take commands, and the broker let us write cmd/replay and read reply/replay"


@dataclass(frozen=True, slots=True)
class Ask:
    """A command to be published, with QoS 1 and not retained."""

    topic: str
    payload: bytes
    expiry_s: int


@dataclass(slots=True)
class _Gap:
    """The first gap of a stream: since when it is that, and how asking for it went. Times in ms.

    ``upto``: no number up to this one is young.
    """

    first: int
    since: int
    upto: int = 0
    most: int = MOST_ASKED
    failures: int = 0
    not_before: int = 0


@dataclass(slots=True)
class _Open:
    """A request on its way, or being answered. ``moved_at``: when something of it came last, in ms."""

    id: str
    key: Key
    first: int
    last: int
    left: int
    moved_at: int
    comes: bool = False


@dataclass(slots=True)
class _Refusal:
    """A gateway that did not take a request, and when it is asked again, in ms."""

    failures: int
    not_before: int


class Mending:
    """Asks for what a follower misses. At most one request per gateway is open, and four in all.

    ``by`` begins the id of each command, and is to be new in each process: an id is carried out once.
    ``problems`` says of each gateway why it sends nothing, as far as it is known. Memory: by stream with a
    gap, and by gateway.
    """

    def __init__(self, follower: Follower, by: str, root: str = ROOT) -> None:
        self.asked = 0
        self.problems: dict[str, str] = {}
        self._follower, self._by, self._root = follower, by, root
        self._gaps: dict[Key, _Gap] = {}
        self._open: dict[str, _Open] = {}
        self._refusals: dict[str, _Refusal] = {}
        self._at = 0

    @property
    def open(self) -> int:
        """How many requests are open."""
        return len(self._open)

    @property
    def hopeful(self) -> bool:
        """Whether there is a gap of a gateway that has not shown that it sends nothing."""
        return any(key.gateway not in self.problems for key in self._gaps)

    def due(self, at: int) -> list[Ask]:
        """Return what is to be asked now. Times are ms since 1970 UTC."""
        if at < self._at:  # the clock was set back: what it said before means nothing
            self._gaps.clear()
            self._refusals.clear()
            for request in self._open.values():
                request.moved_at = at
        self._at = at
        self._look(at)
        return list(self._asks(at))

    def hear(self, topic: str, payload: bytes, at: int) -> bool:
        """Take an answer; return whether it is one to a request of ours that is open."""
        try:
            said = ReplyMessage.model_validate_json(payload, extra="ignore")
        except ValidationError:
            return False
        request = self._open.get(said.gateway)
        if request is None or said.id != request.id or not topic.startswith(f"{self._root}/"):
            return False
        if said.status == "ok":
            self._told(request, said, at)
        elif said.status == "error":
            self._failed(request, said.reason or said.status, at, of_the_gateway=False)
        elif said.status != "duplicate":  # else it is being carried out
            why = ": ".join(filter(None, (said.status, said.reason)))
            self._failed(request, why, at, of_the_gateway=True)
        return True

    def refused(self, topic: str, why: str, at: int) -> None:
        """Say that the broker did not take a request on a topic, or nobody hears it."""
        for request in list(self._open.values()):
            if topic == self._topic(request.key):
                self._failed(request, f"{topic}: {why}", at, of_the_gateway=True)

    def _told(self, request: _Open, said: ReplyMessage, at: int) -> None:
        try:
            result = ReplayResult.model_validate(said.result, strict=False)
        except ValidationError:
            self._failed(request, "its answer is not of the contract", at, of_the_gateway=True)
            return
        self.problems.pop(said.gateway, None)
        self._refusals.pop(said.gateway, None)
        for first, last, _ in result.unavailable:
            if request.first <= first <= last <= request.last:
                self._follower.unavailable(request.key, first, last)
        request.last = max(request.first, min(request.last, result.to_seq))
        request.comes, request.moved_at, request.left = True, at, self._left(request)
        if not result.queued and request.left:
            self._failed(request, "", at, of_the_gateway=False)

    def _look(self, at: int) -> None:
        """See what has become of the requests, and where gaps begin."""
        for request in list(self._open.values()):
            left = self._left(request)
            if left < request.left:
                request.left, request.moved_at = left, at
            if not left:
                self._closed(request)
            elif at - request.moved_at > _STILL_MS:
                self._failed(request, "" if request.comes else _SILENT, at, of_the_gateway=not request.comes)
        seen: dict[Key, _Gap] = {}
        for key, stream in self._follower.streams.items():
            span = next(stream.gaps(), None)
            if span is None:
                continue
            seen[key] = gap = self._gaps.get(key) or _Gap(span[0], at)
            if gap.first != span[0]:
                gap.first, gap.since = span[0], gap.since if span[0] <= gap.upto else at
        self._gaps = seen
        gateways = {key.gateway for key in seen}
        for known in (self.problems, self._refusals):
            for gateway in known.keys() - gateways:
                del known[gateway]

    def _asks(self, at: int) -> Iterator[Ask]:
        for key, gap in sorted(self._gaps.items(), key=self._hope):
            if len(self._open) >= _MOST_OPEN:
                return
            if at - gap.since >= _OLD_MS and at >= gap.not_before and self._takes(key.gateway, at):
                yield self._request(key, gap, at)

    def _hope(self, item: tuple[Key, _Gap]) -> int:
        """Say how often it did not help to ask for a gap: the least comes first, so each has its turn."""
        key, gap = item
        refusal = self._refusals.get(key.gateway)
        return gap.failures + (refusal.failures if refusal else 0)

    def _takes(self, gateway: str, at: int) -> bool:
        seen, refusal = self._follower.gateways.get(gateway), self._refusals.get(gateway)
        here = seen is None or seen.latest.state == "online"
        return here and gateway not in self._open and (refusal is None or at >= refusal.not_before)

    def _request(self, key: Key, gap: _Gap, at: int) -> Ask:
        stream = self._follower.streams[key]
        first, last = next(stream.replays(gap.most))
        gap.upto = stream.settled
        self.asked += 1
        request = _Open(f"{self._by}.{self.asked}", key, first, last, 0, at)
        request.left = self._left(request)
        self._open[key.gateway] = request
        args = ReplayArgs(device=key.device, epoch=key.epoch, from_seq=first, to_seq=last)
        said = {"id": request.id, "args": args.model_dump(), "deadline": at + EXPIRY_S * 1000, "by": self._by}
        command = CmdMessage.model_validate({"name": "replay", **said})
        return Ask(self._topic(key), command.payload(), EXPIRY_S)

    def _topic(self, key: Key) -> str:
        return f"{self._root}/{self._follower.sites[key.gateway]}/{key.gateway}/cmd/replay"

    def _left(self, request: _Open) -> int:
        stream = self._follower.streams.get(request.key)
        return 0 if stream is None else stream.missing_in(request.first, request.last)

    def _closed(self, request: _Open) -> None:
        """All of it came, or will never come."""
        del self._open[request.key.gateway]
        gap = self._gaps.get(request.key)
        if gap is not None:
            gap.most, gap.failures, gap.not_before = min(MOST_ASKED, 2 * gap.most), 0, 0

    def _failed(self, request: _Open, why: str, at: int, *, of_the_gateway: bool) -> None:
        """Nothing of it comes any more: ask again later, for less; or leave the gateway alone for a while."""
        gateway = request.key.gateway
        del self._open[gateway]
        if why:
            self.problems[gateway] = why
        if of_the_gateway:
            known = self._refusals.get(gateway)
            failures = known.failures + 1 if known else 1
            self._refusals[gateway] = _Refusal(failures, at + _wait(failures))
        elif (gap := self._gaps.get(request.key)) is not None:
            gap.failures += 1
            gap.most = max(_LEAST_ASKED, gap.most // 2)
            gap.not_before = at + _wait(gap.failures)


def _wait(failures: int) -> int:
    """Return for how many ms nothing is asked after so many failures in a row."""
    return int(min(_WAIT_MOST_MS, _WAIT_MS * 2 ** min(failures - 1, 10)))
