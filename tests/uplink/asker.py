"""A client that asks a gateway to do something, and hears the answers."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.uplink.rig import BASE

_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it came."""

    topic: str
    said: dict[str, Any]
    correlation: bytes | None
    expiry: int | None
    retained: bool


@dataclass
class Asker:
    """``answers``: all that came on ``reply/#`` and further topics, in order; ``states`` of the gateway."""

    client: paho.Client
    base: str
    answers: list[Answer] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    def ask(  # noqa: PLR0913 - each is a fact about a command
        self,
        name: str,
        id_: str,
        *,
        within: float | None = 60,
        expiry: int | None = None,
        retain: bool = False,
        response_topic: str | None = None,
        correlation: bytes | None = None,
        **args: Any,
    ) -> None:
        """Publish a command; ``within`` seconds is its deadline."""
        said: dict[str, Any] = {"schema": "park.cmd/1", "id": id_, "name": name, "args": args, "by": "a test"}
        if within is not None:
            said["deadline"] = int((time.time() + within) * 1000)
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        if expiry is not None:
            properties.MessageExpiryInterval = expiry
        if response_topic is not None:
            properties.ResponseTopic = response_topic
        if correlation is not None:
            properties.CorrelationData = correlation
        self.say(f"cmd/{name}", json.dumps(said).encode(), properties, retain=retain)

    def say(
        self, topic: str, payload: bytes, properties: Properties | None = None, *, retain: bool = False
    ) -> None:
        """Publish anything below the gateway's topics; return once the broker has it."""
        self.client.publish(f"{self.base}/{topic}", payload, 1, retain, properties).wait_for_publish(_WITHIN)

    async def online(self) -> None:
        """Wait until the gateway says that it is here: by then it has subscribed."""
        async with asyncio.timeout(_WITHIN):
            while self.states[-1:] != ["online"]:  # noqa: ASYNC110 - paho's thread has no event for it
                await asyncio.sleep(0.01)

    async def until(self, count: int, within: float = _WITHIN) -> list[Answer]:
        """Wait for so many answers."""
        try:
            async with asyncio.timeout(within):
                while len(self.answers) < count:  # noqa: ASYNC110 - paho's thread has no event for it
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{count} answers, not {self.answers}") from None
        return self.answers

    async def answer(self, id_: str, within: float = _WITHIN) -> Answer:
        """Wait for the first answer to a command."""
        try:
            async with asyncio.timeout(within):
                while True:
                    for answer in self.answers:
                        if answer.said["id"] == id_:
                            return answer
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"no answer to {id_}, but {self.answers}") from None


@asynccontextmanager
async def asking(port: int, *also: str, base: str = BASE) -> AsyncIterator[Asker]:
    """Connect; hear the answers on ``reply/#`` and on the topics ``also``.

    The session outlives the connection: what comes while nobody asks is heard by the next who does.
    """
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="asker", protocol=paho.MQTTv5)
    asker, loop, ready = Asker(client, base), asyncio.get_running_loop(), asyncio.Event()

    def heard(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic == f"{base}/status":
            asker.states.append(json.loads(message.payload)["state"])
            return
        properties = message.properties
        asker.answers.append(
            Answer(
                message.topic,
                json.loads(message.payload),
                getattr(properties, "CorrelationData", None),
                getattr(properties, "MessageExpiryInterval", None),
                message.retain,
            )
        )

    def connected(*_: Any) -> None:
        client.subscribe([(topic, 1) for topic in (f"{base}/reply/#", f"{base}/status", *also)])

    def subscribed(*_: Any) -> None:
        loop.call_soon_threadsafe(ready.set)

    client.on_message, client.on_connect, client.on_subscribe = heard, connected, subscribed
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    properties.SessionExpiryInterval = 3600
    connect = partial(client.connect, "127.0.0.1", port, clean_start=False, properties=properties)
    await asyncio.to_thread(connect)
    client.loop_start()
    try:
        async with asyncio.timeout(_WITHIN):
            await ready.wait()
        yield asker
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
