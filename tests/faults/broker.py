"""A real mosquitto for one test: no queue limits, an ACL where wanted, with or without persistence."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import cycle, islice
from pathlib import Path

import pytest

from edge_agent.demo import mosquitto
from edge_agent.demo.login import Login


def _ports() -> Iterator[int]:
    """Go round the ports of this process of the tests, from anywhere.

    No connection is made from those below 32768, the demo looks for its own from 20000 on, and no other
    process of this run is given the same: one that is free now stays free, also while its broker is down.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    each = len(_PORTS) // _WORKERS
    mine = _PORTS[worker * each : (worker + 1) * each]
    begin = secrets.randbelow(each)
    yield from cycle([*mine[begin:], *mine[:begin]])


_PORTS = range(10_000, 20_000)
_WORKERS = 10
_next_ports = _ports()


def free_port() -> int:
    """Return a port that nobody listens at, and that nobody else is given."""
    for port in islice(_next_ports, len(_PORTS) // _WORKERS):
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("there is no free port")


class Broker:
    """``start`` and ``stop`` as often as wanted, always on ``port``."""

    def __init__(self, served: mosquitto.Mosquitto, port: int, folder: Path) -> None:
        self.start, self.stop, self.port = served.start, served.stop, port
        self.log, self._acl = folder / "mosquitto.log", folder / "acl"
        self._served = served

    def allow(self, *rules: str) -> None:
        """Write the ACL; a broker that runs reads it after ``reload``."""
        self._acl.write_text("\n".join([*rules, ""]), "ascii")

    async def subscribed(self, client: str, count: int = 1) -> None:
        """Wait until clients whose id begins so have subscribed as often. It needs ``log_type all``."""
        async with asyncio.timeout(60):
            while self.log.read_text("utf-8", "replace").count(f"Sending SUBACK to {client}") < count:  # noqa: ASYNC110 - the log tells, nothing else does
                await asyncio.sleep(0.05)

    async def reload(self) -> None:
        """Let it read its ACL again: by a restart, which mosquitto does faster than it answers SIGHUP."""
        await self.stop()
        await self.start()


@asynccontextmanager
async def running(
    folder: Path,
    *,
    persistence: bool = True,
    acl: bool = False,
    extra: Iterable[str] = (),
    start: bool = True,
) -> AsyncIterator[Broker]:
    """Run a broker with its files in ``folder``."""
    program = mosquitto.find()
    if program is None:
        pytest.fail("mosquitto is missing; run make test as root, or apt-get install mosquitto")
    port = free_port()
    store = folder / "store"
    store.mkdir(parents=True, exist_ok=True)
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "max_queued_messages 1000000",  # 0, no limit, makes 2.0.11 close the connection after each refusal
        "max_queued_bytes 0",
        "max_inflight_messages 0",
        f"persistence {str(persistence).lower()}",
        f"persistence_location {store}/",
        "autosave_interval 0",
        f"log_dest file {folder / 'mosquitto.log'}",
        *extra,
    ]
    if acl:
        lines.append(f"acl_file {folder / 'acl'}")
    if os.geteuid() == 0:
        lines.append("user root")
    configuration = folder / "mosquitto.conf"
    configuration.write_text("\n".join([*lines, ""]), "ascii")
    login = Login(f"mqtt://127.0.0.1:{port}", "", "")
    served = mosquitto.Mosquitto(
        "mosquitto", (program, "-c", str(configuration)), login, folder / "mosquitto.log"
    )
    broker = Broker(served, port, folder)
    if acl:
        broker.allow("topic readwrite #")
    if start:
        await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()
