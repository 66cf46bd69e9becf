"""amqtt as the demo's broker, in this process, for machines without mosquitto. It speaks MQTT 3.1.1 only.

The demo holds the connections itself, as an "external listener" of amqtt: amqtt 0.12 leaves those open
that never came as far as a session, and would wait for them when it stops.
"""

import asyncio
import logging
import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edge_agent.demo.login import Login

_STOP_WITHIN = 5.0
_LISTENER = "default"


class Amqtt:
    """A broker that can be taken away and brought back on the same port."""

    protocol = "3.1.1"  # amqtt 0.12 neither refuses nor answers who comes with MQTT 5

    def __init__(self, login: Login, passwords: Path) -> None:
        self.title = f"amqtt {version('amqtt')} (in this process)"
        self._login, self._passwords = login, passwords
        self._broker: Any = None
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """Serve. Unlike mosquitto it has forgotten every session and retained message."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own affairs, at import
            from amqtt.broker import Broker  # noqa: PLC0415 - an extra, and slow to load
        # every dropped connection is an error to it, and the demo drops connections on purpose
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        files = {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(self._passwords)}}
        self._broker = Broker({"listeners": {_LISTENER: {"type": "external"}}, "plugins": files})
        await self._broker.start()
        self._server = await asyncio.start_server(self._accept, self._login.host, self._login.port)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="broker.connection")
        self._connections[task] = writer
        task.add_done_callback(self._connections.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter  # noqa: PLC0415 - as above

        try:
            with suppress(OSError):  # the other side went away
                await self._broker.external_connected(
                    StreamReaderAdapter(reader), StreamWriterAdapter(writer), _LISTENER
                )
        finally:
            writer.transport.abort()

    async def stop(self) -> None:
        """Cut every connection and leave the port."""
        broker, server = self._broker, self._server
        self._broker = self._server = None
        if broker is None:
            return
        if server is not None:
            server.close()
        for writer in self._connections.values():
            writer.transport.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_WITHIN):
                if self._connections:
                    await asyncio.wait(self._connections)
                await broker.shutdown()


def prepare(directory: Path, login: Login) -> Amqtt:
    """Write the password file."""
    from pwdlib.hashers.argon2 import Argon2Hasher  # noqa: PLC0415 - comes with amqtt

    passwords = directory / "amqtt.passwd"
    passwords.unlink(missing_ok=True)
    passwords.touch(0o600)
    # The password is random: the cheapest hash is good enough, and does not hold up the agent's loop.
    hashed = Argon2Hasher(time_cost=1, memory_cost=1024, parallelism=1).hash(login.password)
    passwords.write_text(f"{login.username}:{hashed}\n", "utf-8")
    return Amqtt(login, passwords)
