"""install.sh for real: versions from wheels with no network, upgraded and taken back under a backlog."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.outbox.store import MAJOR, MINOR
from edge_agent.profile import profile_text
from tests.faults.broker import running
from tests.install.test_healthy import FILE
from tests.install.tree import ROOT, change, copy, wheel
from tests.journey.programs import kept, one_identity_each
from tests.uplink.rig import listening

pytestmark = [pytest.mark.package, pytest.mark.timeout(600)]

OFFLINE = {"PIP_NO_INDEX": "1", "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels of all that a gateway's version needs beside our own."""
    folder = tmp_path_factory.mktemp("libraries")
    pins = str(ROOT / "constraints.txt")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "-c", pins, "-w", str(folder), f"{ROOT}[gateway]"],
        env=os.environ | {"PIP_BUILD_CONSTRAINT": pins},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    next(folder.glob("smartpark_edge_agent-*.whl")).unlink()
    return folder


def bundle(libraries: Path, folder: Path, version: str, spoil: Callable[[Path], None] | None = None) -> Path:
    """Make what an installer brings, of a version that is sound, or spoilt; return its install.sh."""
    tree = copy(folder / f"tree-{version}", version)
    if spoil is not None:
        spoil(tree)
    made = folder / f"edge-agent-{version}"
    shutil.copytree(libraries, made / "wheels")
    wheel(tree, made / "wheels")
    shutil.copy(tree / "install.sh", made)
    return made / "install.sh"


def crashes(tree: Path) -> None:
    """Spoil a version: it falls as soon as it runs."""
    change(tree / "edge_agent/service.py", "    gc.collect()\n", "    raise RuntimeError('spoilt')\n")


def sends_nothing(tree: Path) -> None:
    """Spoil a version: it reads and keeps, and never connects."""
    told = '        """Keep trying, each server in turn; carry out what is asked meanwhile."""\n'
    change(tree / "edge_agent/uplink/uplink.py", told, told + "        await asyncio.Event().wait()\n")


def newer_minor(tree: Path) -> None:
    """Let a version add a table to the outbox, as later minor versions may."""
    now = f"MAJOR, MINOR = {MAJOR}, {MINOR}"
    change(tree / "edge_agent/outbox/store.py", now, f"MAJOR, MINOR = {MAJOR}, {MINOR + 1}")
    added = tree / f"edge_agent/outbox/schema/{MAJOR:04}_{MINOR + 1}.sql"
    added.write_text("CREATE TABLE later (id INTEGER PRIMARY KEY);\n", "utf-8")


@dataclass
class Gateway:
    """A machine's folders, with the agent that install.sh put there."""

    root: Path

    @property
    def runs(self) -> str:
        """The version that `current` leads to."""
        return os.path.basename(os.readlink(self.root / "opt/edge-agent/current"))  # noqa: PTH115, PTH119 - a link

    @property
    def config(self) -> Path:
        return self.root / "etc/edge-agent/agent.toml"

    @property
    def outbox(self) -> Path:
        return self.root / "outbox.db"

    async def run(self, *command: str, network: bool = True) -> tuple[int, str]:
        """Run a program with a time limit; return its exit code and all it said."""
        if not network:  # not even loopback
            command = ("unshare", "-n", *command)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=os.environ | OFFLINE | {"ROOT": str(self.root), "PYTHON": sys.executable},
        )
        async with asyncio.timeout(180):
            out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode()

    async def install(self, script: Path, *words: str, network: bool = True) -> tuple[int, str]:
        service = str(Path(__file__).with_name("service.sh"))
        given = (str(script), "--root", str(self.root), "--service", service, "--within", "20s", *words)
        return await self.run(*given, network=network)

    async def serve(self, what: str) -> None:
        code, said = await self.run(str(Path(__file__).with_name("service.sh")), what)
        assert code == 0, said

    async def version(self) -> str:
        """Ask the agent that runs which it is."""
        agent = str(self.root / "opt/edge-agent/current/bin/edge-agent")
        socket = str(self.root / "run/edge-agent/control.sock")
        async with asyncio.timeout(60):
            while True:
                code, said = await self.run(agent, "status", "--json", "--socket", socket)
                if code < 2:  # it answered
                    return str(json.loads(said)["version"])

    def count(self) -> int:
        return sum(map(len, kept(self.outbox).values())) if self.outbox.exists() else 0

    async def reads(self, more: int) -> None:
        """Wait until so many more readings are kept."""
        goal = self.count() + more
        async with asyncio.timeout(60):
            while self.count() < goal:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.2)


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[Gateway]:
    made = Gateway(folder)
    try:
        yield made
    finally:
        await made.serve("stop")


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


async def first_time(machine: Gateway, script: Path) -> None:
    """Install where nothing is, and again."""
    code, said = await machine.install(script, network=False)
    assert (code, "not started yet" in said) == (0, True), said
    assert machine.runs == "0.1.0"
    code, said = await machine.install(script, network=False)
    assert (code, "is there already" in said, "nothing was restarted" in said) == (0, True, True), said
    assert digest(machine.config) == digest(ROOT / "config/agent.toml")


async def not_kept(machine: Gateway, script: Path, version: str, why: str) -> None:
    """See that a version is not kept, and the one before reads on."""
    before = machine.runs
    code, said = await machine.install(script, "--upgrade")
    assert (code, why in said, f"going back to {before}" in said) == (1, True, True), said
    assert (machine.runs, await machine.version()) == (before, before)
    assert (machine.root / f"opt/edge-agent/versions/{version}").is_dir(), "to be looked at"
    await machine.reads(5)


async def taken_away(machine: Gateway, script: Path) -> None:
    """Uninstall, and then everything."""
    code, said = await machine.install(script, "--uninstall")
    assert code == 0, said
    assert not (machine.root / "agent.pid").exists()
    assert not (machine.root / "opt/edge-agent").exists()
    assert not list(machine.root.glob("etc/*/*/edge-agent*"))
    assert (machine.config.exists(), machine.outbox.exists()) == (True, True)
    code, said = await machine.install(script, "--uninstall", "--purge")
    assert code == 0, said
    assert not machine.config.exists()
    assert not (machine.root / "var/lib/edge-agent").exists()


async def test_versions_come_and_go_and_no_reading_with_them(tmp_path: Path, libraries: Path) -> None:
    brought = {
        version: await asyncio.to_thread(bundle, libraries, tmp_path, version, spoil)
        for version, spoil in {
            "0.1.0": None,
            "0.2.0": None,
            "0.3.0": crashes,
            "0.4.0": sends_nothing,
            "0.5.0": newer_minor,
        }.items()
    }
    root = tmp_path / "gateway"
    root.mkdir()
    climate = unit(2, profile_text("modbus", "xy_md02"), lambda: {"temperature": 21.5, "humidity": 40.0})
    async with AsyncExitStack() as stack:
        stack.enter_context(Wire(root / "near", root / "far", 9600))
        stack.enter_context(Slaves(root / "far", [climate]))
        broker = await stack.enter_async_context(running(tmp_path / "broker", start=False))
        machine = await stack.enter_async_context(gateway(root))

        await first_time(machine, brought["0.1.0"])
        machine.config.write_text(FILE.format(folder=root, port=broker.port), "utf-8")
        written = digest(machine.config)
        await machine.serve("start")
        await machine.reads(10)  # no broker: all of it is a backlog

        code, said = await machine.install(brought["0.2.0"])
        assert code == 0, said
        assert "0.2.0 runs and is healthy" in said
        assert (machine.runs, await machine.version()) == ("0.2.0", "0.2.0")
        backlog = machine.count()

        await broker.start()
        listener = await stack.enter_async_context(listening(broker.port))
        ((device, epoch),) = kept(machine.outbox)
        await listener.until(lambda: len(listener.readings().get((device, epoch), ())) > backlog, 60)

        for version, why in (("0.3.0", "no agent runs here"), ("0.4.0", "uplink city")):
            await not_kept(machine, brought[version], version, why)

        code, said = await machine.install(brought["0.5.0"])
        assert (code, machine.runs) == (0, "0.5.0"), said
        assert {path.name for path in (root / "opt/edge-agent/versions").iterdir()} == {"0.2.0", "0.5.0"}
        code, said = await machine.install(brought["0.5.0"], "--rollback")
        assert code == 0, said
        assert (machine.runs, await machine.version()) == ("0.2.0", "0.2.0")
        await machine.reads(5)  # into an outbox that a newer minor version has used

        await machine.serve("stop")
        ((key, seqs),) = kept(machine.outbox).items()
        assert key == (device, epoch), "no upgrade begins anew"
        assert seqs == set(range(1, len(seqs) + 1))
        await machine.serve("start")
        await listener.until(lambda: seqs <= listener.readings()[key].keys(), 60)
        one_identity_each(listener.readings())
        assert listener.of("loss") == []
        assert digest(machine.config) == written

        await taken_away(machine, brought["0.5.0"])
