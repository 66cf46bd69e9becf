"""What the agent takes while little happens: memory, CPU, wake-ups; and how long it takes to begin.

Run it with ``python -m benchmarks.idle``. ``edge-agent run`` is measured from outside for a minute, once with
the demo's configuration against the demo's simulated park, the others with one device that is asked once a
minute: alone, fed by a watchdog, with metrics, with the operators' page, which has a user and at which nobody
looks. All are connected to mosquitto, and have the variables that the service is started with. It measures
the agent that its own Python has.
"""

import asyncio
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import starmap
from pathlib import Path
from typing import NamedTuple

from benchmarks import measure
from edge_agent.console import users
from edge_agent.demo import broker, child, config, park
from edge_agent.demo.free_port import free_port

_PROGRAM = str(Path(sys.executable).with_name("edge-agent"))
_WARM_S, _MEASURE_S, _DEMOS = 10, 60, 3
_WATCHDOG_S = 60
_STOP_WITHIN_S = 30
_IMPORTED = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)")
_GROUPS = (
    "edge_agent",
    "drivers",
    "pydantic",
    "pydantic_core",
    "paho",
    "typer",
    "rich",
    "aiosqlite",
    "orjson",
)


class Used(NamedTuple):
    """What a process has used so far: CPU in seconds, and its voluntary context switches."""

    cpu: float
    switches: int


def used(pid: int) -> Used:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    switches = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text("ascii").splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                switches += int(line.split()[1])
    return Used(ticks / os.sysconf("SC_CLK_TCK"), switches)


@asynccontextmanager
async def served(
    directory: Path, *, alone: bool, table: str = "", watched: bool = False
) -> AsyncIterator[int]:
    """Run a park, a broker and, beside them, the agent; give the agent's process id.

    ``alone``: only one device, asked each 60 s. ``table``: one more of the configuration, which listens at a
    free port. ``watched``: the agent feeds a watchdog, as under systemd.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(park.running(directory))
        login = broker.own_login(directory)
        running = await stack.enter_async_context(broker.running(directory, login))
        file = config.write(directory, login, running.protocol)
        if alone:
            text = file.read_text("utf-8")
            meter = text.partition("[device.meter-1]")[2].partition("[device.")[0]
            slow = meter.replace('interval = "2s"', 'interval = "60s"')
            file.write_text(f"{text.partition('[bus.radar-1]')[0]}[device.meter-1]{slow}", "utf-8")
        if table == "console":  # else it waits for who sets the first password
            users.set_password(
                users.place(config.outbox_file(directory)), "admin", "a park in the rain", "viewer"
            )
        if table:
            with file.open("a", encoding="utf-8") as more:
                more.write(f'\n[{table}]\nlisten = "127.0.0.1:{free_port(0)}"\n')
        variables = measure.set_by_systemd() | {
            "CREDENTIALS_DIRECTORY": str(config.secrets_folder(directory)),
            "EDGE_AGENT_SOCKET": str(directory / "control.sock"),
        }
        if watched:
            variables |= {
                "NOTIFY_SOCKET": str(directory / "notify.sock"),
                "WATCHDOG_USEC": str(_WATCHDOG_S * 1_000_000),
            }
            systemd = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            systemd.bind(variables["NOTIFY_SOCKET"])
        with (directory / "agent.log").open("wb") as log:
            process = await child.start(
                "env", *starmap("{}={}".format, variables.items()), _PROGRAM, "run", "--config", str(file),
                stderr=log.fileno(),
            )  # fmt: skip
        try:
            yield process.pid
        finally:
            await child.stop(process)
            assert process.returncode == 0, (directory / "agent.log").read_text("utf-8")


async def minute(*, alone: bool, table: str = "", watched: bool = False) -> measure.Told:
    """Look at an agent for a minute, once it has begun."""
    with tempfile.TemporaryDirectory(dir=measure.FOLDER) as directory:
        async with served(Path(directory), alone=alone, table=table, watched=watched) as pid:
            await asyncio.sleep(_WARM_S)
            before = used(pid)
            await asyncio.sleep(_MEASURE_S)
            after = used(pid)
            return {
                "rss": measure.rss(pid),
                "own": measure.rss(pid, "RssAnon"),
                "cpu": 100 * (after.cpu - before.cpu) / _MEASURE_S,
                "switches": (after.switches - before.switches) / _MEASURE_S,
            }


async def agents() -> dict[str, measure.Told]:
    """Look at all of them in the same minute."""
    cases = {
        "the demo's configuration": minute(alone=False),
        "1 device, asked each 60 s": minute(alone=True),
        "the same, with a watchdog of 60 s": minute(alone=True, watched=True),
        "the same, with metrics": minute(alone=True, table="metrics"),
        "the same, with the operators' page": minute(alone=True, table="console"),
    }
    return dict(zip(cases, await asyncio.gather(*cases.values()), strict=True))


def imported() -> tuple[dict[str, float], float]:
    """Return the milliseconds that importing takes, by who is imported, and all that a start takes."""
    command = [sys.executable, "-X", "importtime", "-c", "import edge_agent.__main__, edge_agent.service"]
    variables = os.environ | measure.set_by_systemd()
    tries = []
    for _ in range(3):
        done = subprocess.run(command, env=variables, check=True, stderr=subprocess.PIPE, timeout=60)
        said = done.stderr.decode()
        groups: dict[str, float] = {}
        for taken, module in _IMPORTED.findall(said):
            top = module.partition(".")[0]
            group = top if top in _GROUPS else "Python's own and others"
            groups[group] = groups.get(group, 0) + int(taken) / 1000
        tries.append(groups)
    best = min(tries, key=lambda groups: sum(groups.values()))
    began = time.perf_counter()
    subprocess.run([_PROGRAM, "version"], check=True, stdout=subprocess.DEVNULL, timeout=60)
    return best, (time.perf_counter() - began) * 1000


def first_acknowledged() -> float:
    """Return the seconds from the demo's start to its first acknowledged reading."""
    began = time.perf_counter()
    with subprocess.Popen(
        [_PROGRAM, "demo", "--for", "8s", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as demo:
        assert demo.stdout is not None
        line = demo.stdout.readline()
        taken = time.perf_counter() - began
        demo.communicate(timeout=_STOP_WITHIN_S)
    assert b'"seq"' in line, line
    return taken


def main() -> None:
    table = measure.Table(
        "agent", "RSS, MB", "of it its own, MB", "CPU, % of a core", "voluntary context switches/s"
    )
    for name, one in asyncio.run(agents()).items():
        table.row(
            name, f"{one['rss']:.1f}", f"{one['own']:.1f}", f"{one['cpu']:.2f}", f"{one['switches']:.1f}"
        )
    print()
    table = measure.Table("from `edge-agent demo` to the first acknowledged reading, s")
    table.row(", ".join(f"{taken:.2f}" for taken in sorted(first_acknowledged() for _ in range(_DEMOS))))
    print()
    table = measure.Table("imported for `edge-agent run`", "ms")
    groups, version = imported()
    for group, taken in sorted(groups.items(), key=lambda item: -item[1]):
        table.row(group, f"{taken:.0f}")
    table.row("all", f"{sum(groups.values()):.0f}")
    table.row("`edge-agent version`, the whole process", f"{version:.0f}")


if __name__ == "__main__":
    main()
