"""The broker of the demo: mosquitto if installed, else amqtt in this process, or one that the user names."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from edge_agent.demo import amqtt_broker, mosquitto
from edge_agent.demo.broken import DemoError
from edge_agent.demo.free_port import free_port
from edge_agent.demo.login import Login

SECRET = "demo-broker"  # noqa: S105 - the name of a file, not what is in it
_USERNAME = "demo"


class Broker(Protocol):
    """A broker that can be taken away and brought back. ``title`` is for people."""

    protocol: str
    """What the agent's configuration must say for it."""

    @property
    def title(self) -> str:
        """Its name and version."""

    async def start(self) -> None:
        """Serve; after ``stop``, on the same port as before."""

    async def stop(self) -> None:
        """Cut every connection and leave the port."""


@asynccontextmanager
async def running(directory: Path, login: Login) -> AsyncIterator[Broker]:
    """Run a broker that lets in nobody but ``login``, and keeps its files in ``directory``.

    Raises:
        DemoError: there is no broker to run, or it does not start.
    """
    broker = await _choose(directory, login)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


async def _choose(directory: Path, login: Login) -> Broker:
    program = mosquitto.find()
    if program is not None:
        return await mosquitto.prepare(program, directory, login)
    if find_spec("amqtt") is not None:
        return amqtt_broker.prepare(directory, login)
    raise DemoError(
        "the demo needs a broker: apt-get install mosquitto, "
        "or pip install 'smartpark-edge-agent[demo]', or name one with --broker mqtt://host:port"
    )


def own_login(directory: Path) -> Login:
    """Choose port and password of the demo's broker. A second start on a directory keeps them if it can.

    So a subscriber that was left running is let in again.
    """
    kept = directory / "broker.port"
    port = free_port(int(kept.read_text("ascii")) if kept.exists() else 0)
    kept.write_text(f"{port}\n", "ascii")
    secret = directory / "secrets" / SECRET
    password = secret.read_text("utf-8").strip() if secret.exists() else secrets.token_hex(12)
    return Login(f"mqtt://127.0.0.1:{port}", _USERNAME, password, generated=True)


def login_of(url: str) -> Login:
    """Read ``mqtt://[user:password@]host[:port]``, also ``mqtts://``.

    Raises:
        DemoError: it is not such an address.
    """
    parts = urlsplit(url)
    default = {"mqtt": 1883, "mqtts": 8883}.get(parts.scheme)
    try:
        port = parts.port or default
    except ValueError:
        port = None
    if port is None or not parts.hostname or parts.path.strip("/"):
        raise DemoError(f"{url!r} is not a broker's address; write mqtt://[user:password@]host:port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    address = f"{parts.scheme}://{host}:{port}"
    return Login(address, unquote(parts.username or ""), unquote(parts.password or ""))
