"""Brokers of others, each from Debian, on loopback and in a folder of its own; stopped by their own id."""

import asyncio
import os
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edge_agent.demo import child
from tests.faults.broker import free_port

_READY_S = 60.0
_EJABBERD = Path("/usr/lib/x86_64-linux-gnu/ejabberd-23.01/ebin")


class Served:
    """One broker. ``start`` and ``kill`` as often as wanted, always on ``port``."""

    def __init__(
        self, folder: Path, command: tuple[str, ...], environment: Mapping[str, str], port: int
    ) -> None:
        self.port, self._folder = port, folder
        self._command, self._environment = command, environment
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it takes connections for MQTT."""
        setting = tuple(f"{name}={value}" for name, value in self._environment.items())
        with (self._folder / "out").open("ab") as log:
            self._process = await child.start(
                "env", *setting, *self._command, stdout=log.fileno(), stderr=log.fileno()
            )
        async with asyncio.timeout(_READY_S):
            while not await _answers(self.port):
                if self._process.returncode is not None:
                    pytest.fail((self._folder / "out").read_text("utf-8", "replace")[-2000:])
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """End it at once, with all that it has started."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a session of its own, of which it is the leader
            await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return True


def needs(program: str, package: str) -> str:
    """Return where a program of a broker is; fail when it is not installed."""
    found = shutil.which(program, path=f"/usr/lib/rabbitmq/bin:/usr/sbin:{os.environ['PATH']}")
    if found is None:
        pytest.fail(f"{program} is missing; run make interop as root, or apt-get install {package}")
    return found


def nats(folder: Path) -> Served:
    """nats-server, with JetStream, which its MQTT rests on."""
    program, port = needs("nats-server", "nats-server"), free_port()
    file = folder / "nats.conf"
    file.write_text(
        f'listen: "127.0.0.1:{free_port()}"\nserver_name: interop\n'
        f'jetstream {{ store_dir: "{folder}/store" }}\nmqtt {{ listen: "127.0.0.1:{port}" }}\n',
        "utf-8",
    )
    return Served(folder, (program, "-c", str(file)), {}, port)


def ejabberd(folder: Path) -> Served:
    """ejabberd with mod_mqtt, which lets anybody in."""
    program, port = needs("erl", "ejabberd"), free_port()
    if not _EJABBERD.is_dir():
        pytest.fail("ejabberd is missing; run make interop as root, or apt-get install ejabberd")
    file = folder / "ejabberd.yml"
    file.write_text(
        f"""\
hosts: [localhost]
loglevel: warning
auth_method: [anonymous]
anonymous_protocol: login_anon
allow_multiple_connections: true
acme: {{auto: false}}
listen:
  - {{port: {port}, ip: "127.0.0.1", module: mod_mqtt, backlog: 100}}
modules:
  mod_mqtt: {{max_queue: 100000}}
""",
        "utf-8",
    )
    environment = {
        "EJABBERD_CONFIG_PATH": str(file), "EJABBERD_LOG_PATH": str(folder / "log"), "HOME": str(folder),
        "ERL_CRASH_DUMP": str(folder / "crash"),
    }  # fmt: skip
    command = (
        program,
        "-noinput",
        "-pa",
        str(_EJABBERD),
        "-mnesia",
        "dir",
        f'"{folder}/store"',
        "-s",
        "ejabberd",
    )
    return Served(folder, command, environment, port)


@asynccontextmanager
async def epmd(folder: Path) -> AsyncIterator[dict[str, str]]:
    """The name service of Erlang's nodes, on loopback; yields the environment that finds it."""
    program, port = needs("epmd", "rabbitmq-server"), free_port()
    process = await child.start(program, "-address", "127.0.0.1", "-port", str(port))
    try:
        async with asyncio.timeout(10):
            while not await _answers(port):  # noqa: ASYNC110 - another process decides, and does not tell
                await asyncio.sleep(0.05)
        cookie = folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(20), "ascii")
        cookie.chmod(0o400)
        yield {"ERL_EPMD_PORT": str(port), "ERL_EPMD_ADDRESS": "127.0.0.1", "HOME": str(folder)}
    finally:
        await child.stop(process)


def rabbitmq(
    folder: Path, names: Mapping[str, str], node: str = "a", *, others: tuple[str, ...] = ()
) -> Served:
    """RabbitMQ with its MQTT plugin; a node that joins ``others`` when it starts."""
    port = free_port()
    base = folder / node
    base.mkdir()
    (base / "plugins").write_text("[rabbitmq_mqtt].\n", "ascii")
    members = "".join(
        f"cluster_formation.classic_config.nodes.{at} = {name}@localhost\n"
        for at, name in enumerate((node, *others) if others else (), 1)
    )
    (base / "rabbitmq.conf").write_text(
        f"""\
listeners.tcp.1 = 127.0.0.1:{free_port()}
mqtt.listeners.tcp.1 = 127.0.0.1:{port}
mqtt.allow_anonymous = true
mqtt.prefetch = 100
{members}""",
        "ascii",
    )
    environment = {
        **names,
        "RABBITMQ_NODENAME": f"{node}@localhost",
        "RABBITMQ_MNESIA_BASE": str(base / "store"),
        "RABBITMQ_LOG_BASE": str(base / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(base / "rabbitmq"),
        "RABBITMQ_PID_FILE": str(base / "pid"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_ALLOW_INPUT": "true",  # no shell between, so that it dies with us
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
        ),
    }
    return Served(base, (needs("rabbitmq-server", "rabbitmq-server"),), environment, port)
