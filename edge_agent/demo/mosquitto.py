"""mosquitto as the demo's broker: a process of its own, its files in the demo's directory."""

import asyncio
import os
import shutil
from pathlib import Path

from edge_agent.demo import child
from edge_agent.demo.broken import DemoError
from edge_agent.demo.free_port import free_port
from edge_agent.demo.login import Login

_READY_WITHIN = 30.0
_BETWEEN_TRIES = 0.02
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
_MOST_QUEUED = (
    100_000  # messages for a subscriber that is away; the default of 1000 drops an outage's backlog
)


def find() -> str | None:
    """Return the path of the program, None if it or its password tool is not installed."""
    program = shutil.which("mosquitto", path=_PATH)
    return program if program and shutil.which("mosquitto_passwd", path=_PATH) else None


class Mosquitto:
    """A broker that can be taken away and brought back on the same port."""

    protocol = "auto"

    def __init__(self, title: str, command: tuple[str, ...], login: Login, log: Path) -> None:
        self.title = title
        self._command, self._login, self._log = command, login, log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it takes connections.

        Raises:
            DemoError: another program has its port; it ends at once, or takes no connection within 30 s.
        """
        if free_port(self._login.port) != self._login.port:  # else that one would be taken for it
            raise DemoError(f"{self.title} does not start at {self._login.url}; end what listens there")
        with self._log.open("ab") as log:  # for what it says before it has read where to log
            self._process = await child.start(*self._command, stderr=log.fileno())
        try:
            async with asyncio.timeout(_READY_WITHIN):
                while not await self._answers():
                    if self._process.returncode is not None:
                        break
                    await asyncio.sleep(_BETWEEN_TRIES)
                else:
                    return
        except TimeoutError:
            await self.stop()
        raise DemoError(f"{self.title} does not start at {self._login.url}; {self._log} says why")

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self._login.host, self._login.port)
        except ConnectionError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    async def stop(self) -> None:
        """End it; it keeps in ``directory`` what subscribers with a session have not had yet."""
        if self._process is not None:
            await child.stop(self._process)
            self._process = None


async def prepare(program: str, directory: Path, login: Login) -> Mosquitto:
    """Write the configuration and the password file.

    Raises:
        DemoError: the password file cannot be made.
    """
    log, passwords, store = (directory / f"mosquitto.{name}" for name in ("log", "passwd", "store"))
    store.mkdir(exist_ok=True)
    configuration = directory / "mosquitto.conf"
    lines = [
        f"listener {login.port} 127.0.0.1",
        "allow_anonymous false",
        f"password_file {passwords}",
        "persistence true",
        f"persistence_location {store}/",
        f"max_queued_messages {_MOST_QUEUED}",
        f"log_dest file {log}",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
    ]
    if os.geteuid() == 0:
        # else it becomes another user, who may not read the files, and whose parent's death the
        # kernel no longer reports (PR_SET_PDEATHSIG ends with a change of user)
        lines.append("user root")
    configuration.write_text("\n".join([*lines, ""]), "utf-8")
    passwords.unlink(missing_ok=True)
    passwords.touch(0o600)
    passwords.write_text(f"{login.username}:{login.password}\n", "utf-8")
    await _hash(passwords)
    return Mosquitto(await _title(program), (program, "-c", str(configuration)), login, log)


async def _hash(passwords: Path) -> None:
    tool = shutil.which("mosquitto_passwd", path=_PATH) or "mosquitto_passwd"
    # -U takes it from the file: on a command line every user of the machine could read it
    process = await child.start(tool, "-U", str(passwords))
    if await process.wait() != 0:
        raise DemoError(f"mosquitto_passwd cannot write {passwords}; its reason is printed above")


async def _title(program: str) -> str:
    process = await child.start(program, "-h", stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    first = said.decode("utf-8", "replace").partition("\n")[0]
    return first.replace("version ", "").strip() or "mosquitto"
