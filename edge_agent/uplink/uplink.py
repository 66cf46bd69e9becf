"""One way to a broker: connect, send until the connection ends, wait, and try again. For ever."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from edge_agent.backoff import Backoff
from edge_agent.contract.commands import ReplayArgs, RepublishArgs
from edge_agent.settings.field_types import Server
from edge_agent.settings.uplink import Uplink as Settings
from edge_agent.status import UplinkStatus
from edge_agent.uplink.downlink import CannotError, Downlink, Executor
from edge_agent.uplink.in_flight import Flight
from edge_agent.uplink.interfaces import Acknowledged, Delivery, Gateway
from edge_agent.uplink.message import Outgoing
from edge_agent.uplink.mqtt import Protocol, Session
from edge_agent.uplink.republishing import older_descriptions
from edge_agent.uplink.selection import passing
from edge_agent.uplink.sending import Sending
from edge_agent.uplink.session_error import SessionError
from edge_agent.uplink.topics import Topics
from edge_agent.uplink.uplink_state import UplinkState
from edge_agent.uplink.wait import within

log = logging.getLogger(__name__)

_CLOSES_BEFORE_311 = 3
_CLOSES_WITHIN_S = 60.0
_TRY_5_AGAIN_S = 86_400.0
_STEADY_S = 10.0  # a connection that is kicked sooner (two with one client id) waits longer each time
_KICKS = 3  # in a row look like a rival
_CREDENTIALS_S = 30.0  # at least: a broker that is asked too often with a wrong password bans the address


def _never() -> bool:
    return False


class Uplink:
    """Delivers an uplink's share of the log to the first of its servers that takes it."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        gateway: Gateway,
        delivery: Delivery,
        on_acknowledged: Callable[[Acknowledged], None] | None = None,
    ) -> None:
        self.name = name
        self._settings, self._gateway, self._delivery = settings, gateway, delivery
        self._on_acknowledged = on_acknowledged
        self._backoff = Backoff()
        self._state = UplinkState()
        self._protocol: Protocol = "3.1.1" if settings.protocol == "3.1.1" else "5"
        self._fell_back_at = 0.0
        self._works_over_311 = False
        self._closes: list[float] = []
        self._kicks = 0  # connections in a row that ended soon
        self._server = settings.servers[0]
        self._begun: Sending | None = None  # from before a connection is made
        self._sending: Sending | None = None  # while connected
        self._problem = "not connected yet"
        self._logged: set[str] = set()
        self._clock_set = asyncio.Event()

    def status(self) -> UplinkStatus:
        """How it does now."""
        connected = self._sending is not None
        return UplinkStatus(
            name=self.name,
            connected=connected,
            server=str(self._server),
            protocol=self._protocol if connected else "",
            acknowledged=self._delivery.acknowledged,
            backlog=self._delivery.backlog,
            in_flight=self._sending.in_flight.readings if self._sending else 0,
            problem=self._problem or (self._sending.problem if self._sending else ""),
            drain_s=self._sending.drain_s if self._sending else None,
        )

    def take_commands(self, downlink: Downlink) -> None:
        """Have commands carried out. Called before ``run``."""
        self._state.downlink = downlink

    def commands(self) -> Mapping[str, Executor]:
        """Return what carries out the commands that are about what was sent, by name."""
        return {"replay": self._replay, "republish": self._republish}

    async def _replay(self, args: ReplayArgs) -> dict[str, Any]:
        answer = await self._state.jobs.ask(self._delivery, args)
        if self._sending is not None:
            self._sending.pump()
        return answer

    async def _republish(self, args: RepublishArgs) -> dict[str, Any]:
        gateway = self._gateway
        if args.device not in {None, *gateway.metas}:
            raise CannotError(f"there is no device {args.device} on this uplink")
        before: list[Outgoing] = []
        if args.older:
            topics = Topics(f"{self._settings.root}/{gateway.site}/{gateway.id}")
            known = await self._delivery.descriptions()
            before = older_descriptions(gateway, topics, known, passing(self._settings.send), args.device)
        if self._sending is not None:  # else the next connection begins with that
            self._sending.republish(args.device, before)
        return {"devices": 1 if args.device else len(gateway.metas), "older": len(before)}

    def describe(self, metas: Mapping[str, str], known: Mapping[int, tuple[str, str]]) -> None:
        """Go on with other devices, or other descriptions of them; before readings are made under these.

        ``known`` are all that the outbox has: hash and JSON body by id.
        """
        before = dict(self._gateway.metas)
        gone = [device for device in before if device not in metas]
        new = [device for device, body in metas.items() if before.get(device) != body]
        self._gateway.metas.clear()
        self._gateway.metas.update(metas)
        for device in (*gone, *new):
            self._state.last.pop(device, None)
        if self._begun is not None:
            self._begun.descriptions.learn(known)
        if self._sending is not None:
            self._sending.describe(gone, new)

    def publish_state(self, device: str) -> None:
        """A device's availability changed."""
        if self._sending is not None:
            self._sending.publish_state(device)

    def clock_set(self) -> None:
        """Somebody set the clock."""
        self._clock_set.set()
        if self._sending is not None:
            self._sending.pump()

    async def run(self) -> None:
        """Keep trying, each server in turn; carry out what is asked meanwhile."""
        downlink = self._state.downlink
        if downlink is None:
            await self._deliver()
            return
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(downlink.run(), name="downlink")
            try:
                await self._deliver()
            finally:
                listening.cancel()

    async def _deliver(self) -> None:
        turn = 0
        while True:
            self._server = self._settings.servers[turn % len(self._settings.servers)]
            least, clock = 0.0, False
            self._clock_set.clear()
            try:
                reason = await self._session(self._server)
                turn += self._kicks >= _KICKS  # it lets us in, and throws us out again and again
            except SessionError as error:
                reason = str(error)
                turn += 1
                least, clock = _CREDENTIALS_S if error.credentials else 0.0, error.clock
                self._choose_version(error)
            if not reason:
                return  # planned
            self._note_problem(reason)
            worth_it = self._clock_set.is_set if clock else _never
            await within(max(least, self._backoff.next()), worth_it, self._clock_set)

    async def stop(self, within: float) -> None:
        """Bring what is live to the broker, tell it that this is planned, and end ``run``."""
        if self._sending is not None:
            await self._sending.finish(within)

    async def _session(self, server: Server) -> str:
        sending = Sending(self._settings, self._gateway, self._delivery, self._state, self._acknowledged)
        self._begun = sending
        will = await sending.prepare()
        loop = asyncio.get_running_loop()
        if self._fell_back_at and loop.time() - self._fell_back_at > _TRY_5_AGAIN_S:
            self._protocol, self._fell_back_at = "5", 0.0
        session = Session(self._settings, self._protocol, will)
        began = loop.time()
        try:
            connected = await session.connect(server)
            self._sending = sending
            self._note_connected()
            return self._suspecting_rival(await sending.run(session, connected, proved=self._protocol == "5"))
        finally:
            self._sending = self._begun = None
            steady = sending.acks and loop.time() - began > _STEADY_S
            self._kicks = 0 if steady else self._kicks + 1
            if steady or self._state.suspects.try_soon():
                self._backoff.reset()
            if sending.said_goodbye:
                session.close()
            else:
                session.abandon()

    def _suspecting_rival(self, reason: str) -> str:
        """Add to why a connection ended, which was the same soon after the last ones began."""
        if not reason or self._kicks < _KICKS - 1 or "client id" in reason:
            return reason
        return f"{reason}; perhaps another client uses client id {self._settings.client_id!r}"

    def _acknowledged(self, flight: Flight) -> None:
        run = flight.run
        if self._on_acknowledged is not None and run is not None:
            stream = self._delivery.streams[run.stream]
            message = (self.name, stream.device, stream.epoch, run.first, run.last, flight.payload)
            self._on_acknowledged(Acknowledged(*message))

    def _choose_version(self, error: SessionError) -> None:
        """Fall back to MQTT 3.1.1 when a broker says, or shows, that it does not know MQTT 5.

        A broker that closes on everybody, such as one that starts behind a balancer, shows the same: so when
        3.1.1 gets no further, it is MQTT 5 again.
        """
        if not error.protocol or self._settings.protocol != "auto":
            return
        now = asyncio.get_running_loop().time()
        self._closes = [at for at in self._closes if now - at < _CLOSES_WITHIN_S] + [now]
        if not error.certain and len(self._closes) < _CLOSES_BEFORE_311:
            return
        self._closes.clear()
        if self._protocol == "5":
            self._note_problem("the broker does not speak MQTT 5, or not now; trying 3.1.1")
            self._protocol, self._fell_back_at, self._works_over_311 = "3.1.1", now, False
        elif not self._works_over_311:
            self._protocol, self._fell_back_at = "5", 0.0

    def _note_connected(self) -> None:
        self._problem = ""
        self._logged.clear()
        self._works_over_311 = self._protocol == "3.1.1"
        log.info("uplink %s: connected to %s, MQTT %s", self.name, self._server, self._protocol)

    def _note_problem(self, problem: str) -> None:
        """Note what is wrong; log it once between two connections."""
        if problem not in self._logged:
            log.warning("uplink %s: %s", self.name, problem)
            self._logged.add(problem)
        self._problem = problem
