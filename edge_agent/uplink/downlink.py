"""Commands: each is judged, kept, carried out once, and answered. It lives longer than a connection."""

import asyncio
import logging
import sqlite3
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

from edge_agent.contract.messages import ReplyMessage
from edge_agent.contract.topics import REPLY_S
from edge_agent.row import Command
from edge_agent.settings.uplink import Uplink as Settings
from edge_agent.uplink.command_rules import Order, Rates, Refused, ReplyTo, Rules, judge
from edge_agent.uplink.interfaces import Gateway
from edge_agent.uplink.message import Incoming, Outgoing

log = logging.getLogger(__name__)

_MOST_HEARD = 100  # messages that wait to be judged; a broker of MQTT 5 sends no more than 20
_MOST_AT_ONCE = 8
_MOST_REPLIES = 200
_WITHIN_S = 60.0
_REFUSAL = "/"  # begins the keys of answers that are not kept, and no id

Executor = Callable[[Any], Awaitable[dict[str, Any]]]


class CannotError(Exception):
    """A command cannot be carried out. The text says why, for who asked."""


class CommandStore(Protocol):
    """Which commands were taken, across restarts."""

    async def take(self, id_: str, name: str, reply_to: str, correlation: bytes | None) -> Command | None:
        """Keep a new command. Returns what is known of it where it is not new."""

    async def find(self, id_: str) -> Command | None:
        """Return what is known of a command."""

    async def answer(self, id_: str, answer: bytes) -> None:
        """Keep the answer to a command that was taken."""

    def acknowledge(self, id_: str) -> None:
        """A broker has taken the answer."""

    async def write(self) -> None:
        """Write which answers were taken by a broker."""

    async def unacknowledged(self, within_ms: float) -> list[Command]:
        """Return those of so long ago whose answer no broker has taken, and all that have none."""


class Reply(NamedTuple):
    """An answer on its way. ``key`` names it; one that is also kept has its command's id there."""

    key: str
    message: Outgoing


class Downlink:
    """What an uplink is asked to do. ``counts`` by what became of each message: ok, or the reason why not."""

    def __init__(
        self, settings: Settings, gateway: Gateway, store: CommandStore, executors: Mapping[str, Executor]
    ) -> None:
        base = f"{settings.root}/{gateway.site}/{gateway.id}"
        self._rules = Rules(base, settings.commands, (f"{base}/reply/#", *settings.reply_to))
        self._gateway, self._store, self._executors = gateway, store, executors
        self.counts: Counter[str] = Counter()
        self._received: deque[tuple[Incoming, Callable[[Incoming], None]]] = deque()
        self._pending = asyncio.Event()
        self._running: set[str] = set()
        self._rates = Rates()
        self._waiting: dict[str, Outgoing] = {}  # answers to be sent
        self._flying: dict[str, Outgoing] = {}
        self._refusals = 0
        self._on_reply: Callable[[], None] = lambda: None

    def connected(self, on_reply: Callable[[], None]) -> None:
        """A connection begins; it is told of answers by ``on_reply``."""
        self._on_reply = on_reply

    def disconnected(self) -> None:
        """It is over: what it did not bring to the broker goes out with the next one."""
        self._on_reply = lambda: None
        self._waiting, self._flying = self._flying | self._waiting, {}

    def receive(self, message: Incoming, acknowledge: Callable[[Incoming], None]) -> None:
        """Take a message on ``cmd/``; ``acknowledge`` is called once it need not come again."""
        if len(self._received) >= _MOST_HEARD:
            self.counts["ignored: too many"] += 1
            acknowledge(message)
            return
        self._received.append((message, acknowledge))
        self._pending.set()

    def next_reply(self) -> Reply | None:
        """Return an answer to be sent, None while there is none."""
        if not self._waiting:
            return None
        key = next(iter(self._waiting))
        self._flying[key] = self._waiting.pop(key)
        return Reply(key, self._flying[key])

    def acknowledged(self, key: str) -> None:
        """The broker has taken an answer, or never will."""
        if self._flying.pop(key, None) is not None and not key.startswith(_REFUSAL):
            self._store.acknowledge(key)

    async def run(self) -> None:
        """Carry out what comes, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for command in await self._unacknowledged():
                    await self._resume(command)
                while True:
                    await self._pending.wait()
                    self._pending.clear()
                    while self._received:
                        message, acknowledge = self._received.popleft()
                        order = await self._admitted(message)
                        acknowledge(message)
                        if order is not None:
                            tasks.create_task(self._execute(order), name=f"command[{order.name}]")
        finally:
            await self._write_acknowledged()

    async def _unacknowledged(self) -> list[Command]:
        try:
            return await self._store.unacknowledged(REPLY_S * 1000)
        except sqlite3.Error:  # the disk tells of it elsewhere
            return []

    async def _write_acknowledged(self) -> None:
        try:
            await self._store.write()
        except sqlite3.Error:  # the answers are sent once more
            log.info("commands: which answers were taken could not be written")

    async def _admitted(self, message: Incoming) -> Order | None:
        """Judge a message; return what is to be carried out, and is kept by now."""
        now = self._gateway.now().ts if self._gateway.clock_known() else None
        judged = judge(message, self._rules, now)
        loop_time = asyncio.get_running_loop().time()
        if isinstance(judged, Order) and judged.id not in self._running:
            if not self._rates.allows(judged.name, loop_time):
                judged = _refused(judged, "rate")
            elif len(self._running) >= _MOST_AT_ONCE:
                judged = _refused(judged, "busy")
        try:
            if isinstance(judged, Refused):
                known = await self._store.find(judged.id) if judged.may_be_known else None
            else:
                known = await self._store.take(judged.id, judged.name, *judged.reply_to)
        except sqlite3.Error as error:
            if isinstance(judged, Order):
                judged = _refused(judged, f"disk: {error}")
            known = None
        if known is not None:
            self.counts["repeated"] += 1
            of_rate = isinstance(judged, Order) and judged.id not in self._running
            if of_rate or self._rates.answers(loop_time):
                await self._repeat(known, judged)
            return None
        if isinstance(judged, Refused):
            self._refuse(judged, loop_time)
            return None
        self._running.add(judged.id)
        return judged

    def _refuse(self, refused: Refused, now: float) -> None:
        reason = refused.reason.partition(":")[0]
        if not self.counts[f"{refused.status}: {reason}"]:
            log.warning(
                "command %s %s: %s; more of these are only counted",
                refused.name, refused.status, refused.reason,
            )  # fmt: skip
        self.counts[f"{refused.status}: {reason}"] += 1
        if refused.id and self._rates.answers(now):
            reply = self._reply(refused.id, refused.name, refused.status, refused.reason)
            self._send(self._own_key(), refused.reply_to, reply)

    async def _repeat(self, known: Command, repeated: Order | Refused) -> None:
        """A command came before: it has its answer, or gets one now, where it asked this time."""
        if known.name != repeated.name:
            reply = self._reply(
                repeated.id, repeated.name, "duplicate", f"id: was given to {known.name} before"
            )
        elif known.id in self._running:
            reply = self._reply(known.id, known.name, "duplicate", "running")
        else:
            reply = known.answer or await self._interrupted(known)
        self._send(self._own_key(), repeated.reply_to, reply)

    async def _resume(self, known: Command) -> None:
        """Before the agent was started a command was left without an answer, or the answer with us."""
        reply = known.answer or await self._interrupted(known)
        self._send(known.id, ReplyTo(known.reply_to, known.correlation), reply)

    async def _interrupted(self, known: Command) -> bytes:
        reply = self._reply(known.id, known.name, "error", "interrupted")
        await self._keep_answer(known.id, reply)
        return reply

    async def _execute(self, order: Order) -> None:
        status, reason, result = "ok", "", None
        try:
            async with asyncio.timeout(_WITHIN_S):
                result = await self._executors[order.name](order.args)
        except CannotError as error:
            status, reason = "error", str(error)
        except TimeoutError:
            status, reason = "error", f"took longer than {_WITHIN_S:.0f} s"
        except sqlite3.Error as error:
            status, reason = "error", f"disk: {error}"
        self.counts[status] += 1
        log.info(
            "command %s of %s (%s): %s",
            order.name, ascii(order.by) if order.by else "somebody", order.id, reason or status,
        )  # fmt: skip
        reply = self._reply(order.id, order.name, status, reason, result)
        await self._keep_answer(order.id, reply)
        self._running.discard(order.id)
        self._send(order.id, order.reply_to, reply)

    async def _keep_answer(self, id_: str, reply: bytes) -> None:
        try:
            await self._store.answer(id_, reply)
        except sqlite3.Error:  # a full disk is no reason not to answer; asked again, it is "interrupted"
            log.info("command %s: its answer could not be kept", id_)

    def _own_key(self) -> str:
        self._refusals += 1
        return f"{_REFUSAL}{self._refusals}"

    def _send(self, key: str, to: ReplyTo, reply: bytes) -> None:
        if len(self._waiting) >= _MOST_REPLIES:  # nobody takes them; the oldest is too old anyway
            self._waiting.pop(next(iter(self._waiting)))
        self._waiting[key] = Outgoing(to.topic, reply, expiry=REPLY_S, correlation=to.correlation)
        self._on_reply()

    def _reply(
        self, id_: str, name: str, status: str, reason: str = "", result: dict[str, Any] | None = None
    ) -> bytes:
        return ReplyMessage.model_validate(
            {
                "site": self._gateway.site,
                "gateway": self._gateway.id,
                "id": id_,
                "name": name,
                "status": status,
                "ts": max(0, self._gateway.now().ts),
                "reason": reason or None,
                "result": result,
            }
        ).payload()


def _refused(order: Order, reason: str) -> Refused:
    return Refused("rejected", reason, order.id, order.name, order.reply_to)
