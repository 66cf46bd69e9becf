"""May a command be carried out? Each refusal has its reason. Pure."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson
from pydantic import ValidationError

from edge_agent.contract.commands import COMMANDS, Args
from edge_agent.contract.messages import CmdMessage
from edge_agent.uplink.message import Incoming

MOST_BYTES = 16 * 1024
MOST_EXTRA = 1024  # bytes of Response Topic and correlation data, which are kept with the id
MOST_AHEAD_S = 86_400  # ids are remembered for as long
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_UNKNOWN = "unknown"

# At once, and how many seconds one more takes. All at their most are fewer than the ids that are remembered.
_RATES = {
    "ping": (20, 30.0),
    "identify": (5, 300.0),
    "log-level": (5, 300.0),
    "republish": (5, 300.0),
    "replay": (100, 20.0),
    "read": (10, 60.0),
    "set-interval": (10, 300.0),
}
_REFUSALS = (50, 1.0)


class ReplyTo(NamedTuple):
    """Where an answer goes, and what it is to carry."""

    topic: str
    correlation: bytes | None


@dataclass(frozen=True, slots=True)
class Order:
    """A command that may be carried out."""

    id: str
    name: str
    args: Args
    reply_to: ReplyTo
    by: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A command that may not be. Without an ``id`` there is nobody to answer to: it is only counted."""

    status: str
    reason: str
    id: str
    name: str
    reply_to: ReplyTo

    @property
    def may_be_known(self) -> bool:
        """Whether it would have been carried out earlier: then it has the answer that it had."""
        return self.status == "expired" or self.reason in {"rate", "busy"}


@dataclass(frozen=True, slots=True)
class Rules:
    """What a gateway takes: commands below ``base``, of these names, answered on topics of these filters."""

    base: str
    names: Collection[str]
    reply_filters: Sequence[str]


def judge(message: Incoming, rules: Rules, now_ms: int | None) -> Order | Refused:
    """Judge a message on ``cmd/``. ``now_ms``: ms since 1970, None while the clock is not trusted."""
    named = message.topic.removeprefix(f"{rules.base}/cmd/")
    if not _NAME.fullmatch(named):
        named = _UNKNOWN
    reply_to = ReplyTo(f"{rules.base}/reply/{named}", message.correlation)
    extra = len((message.response_topic or "").encode()) + len(message.correlation or b"")
    if len(message.payload) > MOST_BYTES or extra > MOST_EXTRA:
        return Refused("rejected", "too_large", "", named, reply_to)
    asked = message.response_topic
    allowed = asked is None or any(matches(asked, filter_) for filter_ in rules.reply_filters)
    if asked is not None and allowed:
        reply_to = ReplyTo(asked, message.correlation)
    try:
        command = CmdMessage.model_validate_json(message.payload)
    except ValidationError as error:
        return Refused("rejected", f"malformed: {_first(error)}", _id(message.payload), named, reply_to)
    status, reason = "rejected", _forbidden(command.name, named, rules)
    if message.retained:
        reason = "retained"
    elif not allowed:
        reason = "response_topic"
    if not reason:
        status, reason = _late(command.deadline, message.expiry, now_ms)
    if not reason:
        args = _args(command)
        if not isinstance(args, str):
            return Order(command.id, command.name, args, reply_to, command.by or "")
        reason = args
    return Refused(status, reason, command.id, named, reply_to)


def _forbidden(name: str, named: str, rules: Rules) -> str:
    if name != named:
        return "name: is not the topic's"
    if name not in COMMANDS:
        return "unknown"
    return "" if name in rules.names else "not_allowed"


def _late(deadline: int | None, expiry: int | None, now_ms: int | None) -> tuple[str, str]:
    """Return status and reason of what came too late or has no end; reason "" if it is in time."""
    ahead = expiry
    if now_ms is None:
        if expiry is None:
            return "rejected", "clock"
    elif deadline is not None:
        if deadline <= now_ms:
            return "expired", "deadline"
        ahead = (deadline - now_ms) // 1000
    if ahead is None:
        return "rejected", "no_deadline"
    return "rejected", "deadline_too_far" if ahead > MOST_AHEAD_S else ""


def _args(command: CmdMessage) -> Args | str:
    try:
        return COMMANDS[command.name].model_validate(command.args)
    except ValidationError as error:
        return f"args: {_first(error)}"


def _first(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))[:64]
    text = f"{place}: {first['msg']}" if place else first["msg"]
    return "".join(char if char.isprintable() else "?" for char in text)[:200]  # it may quote a stranger


def _id(payload: bytes) -> str:
    """Return the id of what is no command, "" where it has none."""
    try:
        content = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return ""
    found = content.get("id") if isinstance(content, dict) else None
    return found if isinstance(found, str) and _ID.fullmatch(found) else ""


def matches(topic: str, filter_: str) -> bool:
    """Say whether a topic can be published to and lies within a filter (MQTT 5.0, 4.7)."""
    if not topic or topic.startswith("$") or any(char in topic for char in "+#\0"):
        return False
    levels, wanted = topic.split("/"), filter_.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        if len(levels) < len(wanted):
            return False
        levels = levels[: len(wanted)]
    return len(levels) == len(wanted) and all(
        want in ("+", level) for level, want in zip(levels, wanted, strict=True)
    )


@dataclass(slots=True)
class Rates:
    """How many commands of each name may come, and how many refusals are answered. Times in seconds."""

    _left: dict[str, tuple[float, float]] = field(default_factory=dict)  # how many may come, as of when

    def allows(self, name: str, now: float) -> bool:
        """Count one more command; say whether it may be carried out."""
        return self._takes(name, *_RATES[name], now)

    def answers(self, now: float) -> bool:
        """Count one more refusal; say whether it may be answered."""
        return self._takes("", *_REFUSALS, now)

    def _takes(self, name: str, most: int, each_s: float, now: float) -> bool:
        left, since = self._left.get(name, (most, now))
        left = min(most, left + (now - since) / each_s)
        may = left >= 1
        self._left[name] = left - may, now
        return may
