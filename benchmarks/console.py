"""What the operators' page costs the agent: 200 devices with a new reading each second, and some who look.

Run it with ``python -m benchmarks.console``. Each case is a whole agent in a process of its own, with
mosquitto; the browsers are another process, which logs in and reads the overview's events, half of them in
Chinese. CPU is that of the agent's process, in ms for each second. What the pages cost is the difference to
an agent without one; the floor beside it is orjson of the status once a second, and as many bytes
sent to as many sockets. A turn is what the event loop does before it looks at anything else, in ms of CPU.
"""

import asyncio
import gc
import json
import socket
import sys
import tempfile
import time
from asyncio.events import Handle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import orjson

from benchmarks import broker, gateway, measure
from edge_agent.agent.agent import Agent
from edge_agent.console import run as console
from edge_agent.console import users
from edge_agent.control.verbs import verbs
from edge_agent.demo.free_port import free_port
from edge_agent.settings.load import load
from edge_agent.status import as_json

DEVICES = 200
CASES = (0, 1, 12)
_PASSWORD = "a park in the rain"
_WARM_S, _MEASURE_S = 3.0, 10.0
_ANSWER_S = 30.0
_PAGES = 10


@contextmanager
def turns() -> Iterator[list[float]]:
    """Note the longest turns of the event loop, in seconds of CPU."""
    longest = [0.0]
    run = Handle._run  # noqa: SLF001 - asyncio tells nowhere how long one took

    def timed(self: Handle) -> None:
        began = time.thread_time()
        run(self)
        longest[0] = max(longest[0], time.thread_time() - began)

    Handle._run = timed  # type: ignore[method-assign]  # noqa: SLF001 - as above
    try:
        yield longest
    finally:
        Handle._run = run  # type: ignore[method-assign]  # noqa: SLF001 - as above


async def case(folder: Path, lookers: int | None) -> measure.Told:
    """Be an agent whose page so many look at; None: it has no page."""
    gateway.install_meter(folder)
    users.set_password(folder / "console.json", "admin", _PASSWORD, "viewer")
    async with broker.running(folder) as broker_port:
        config = gateway.write_config(folder, broker_port, DEVICES, interval="1s")
        port = free_port(0)
        if lookers is not None:
            with config.open("a", encoding="utf-8") as more:
                more.write(f'[console]\nlisten = "127.0.0.1:{port}"\n')
        async with gateway.running(config) as (agent, source):
            loaded = load(config)
            page = asyncio.create_task(console.run(loaded.console, loaded.outbox.path, verbs(agent)))
            reading = asyncio.create_task(source.pace(DEVICES, 3600))
            try:
                return await measured(agent, port, lookers)
            finally:
                for task in (page, reading):
                    task.cancel()
                await asyncio.wait((page, reading))


async def measured(agent: Agent, port: int, lookers: int | None) -> measure.Told:
    process = None
    if lookers is not None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.console", "browsers", str(port), str(lookers),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(_ANSWER_S):
            await process.stdout.readline()
            with turns() as longest:
                first = json.loads(await process.stdout.readline())
            first["page_turn"] = longest[0]
    await asyncio.sleep(_WARM_S)
    gc.collect()
    with turns() as longest:
        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(_MEASURE_S)
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    told = {"cpu": cpu / seconds, "turn": longest[0], "rss": measure.rss()}
    if process is None:
        return told
    async with asyncio.timeout(_ANSWER_S):
        last = json.loads((await process.communicate())[0])
    return {**told, **first, **last, "floor": floor(agent, last["bytes"], lookers or 0)}


def floor(agent: Agent, size: float, lookers: int) -> float:
    """Return the seconds of CPU in each second that the status' JSON and sending so many bytes takes."""
    told = as_json(agent.status())
    event = b"x" * int(size)
    begin = time.process_time()
    for _ in range(10):
        orjson.dumps(told)
        for _ in range(lookers):
            one, other = socket.socketpair()
            with one, other:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
                one.sendall(event)
    return (time.process_time() - begin) / 10


async def ask(port: int, head: str, body: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request; what comes is the answer, with its head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(f"{head}\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() + body)
    return reader, writer


async def browsers(port: int, lookers: int) -> None:
    """Be all browsers. Prints an empty line when logged in, how long the first pages took, and what came."""
    cookie = await log_in(port)
    print(flush=True)
    took = []
    for _ in range(_PAGES):
        began = time.perf_counter()
        reader, writer = await ask(port, f"GET / HTTP/1.1\r\nConnection: close\r\nCookie: {cookie}")
        size = len(await reader.read(-1))
        took.append(time.perf_counter() - began)
        writer.close()
    opened = [
        await ask(
            port,
            f"GET /api/live HTTP/1.1\r\nCookie: {cookie}\r\nAccept-Language: {'zh-CN' if each % 2 else 'en'}",
        )
        for each in range(lookers)
    ]
    print(json.dumps({"first": took[0], "page": min(took), "page_bytes": size}), flush=True)
    counted = [0] * lookers

    async def count(number: int) -> None:
        while piece := await opened[number][0].read(1 << 16):
            counted[number] += len(piece)

    counting = [asyncio.create_task(count(number)) for number in range(lookers)]
    await asyncio.sleep(_WARM_S)
    before = sum(counted)
    await asyncio.sleep(_MEASURE_S)
    each = (sum(counted) - before) / _MEASURE_S / max(1, lookers)
    print(json.dumps({"bytes": each}), flush=True)
    for task in counting:
        task.cancel()
    for _, writer in opened:
        writer.close()


async def log_in(port: int) -> str:
    body = urlencode({"name": "admin", "password": _PASSWORD}).encode()
    async with asyncio.timeout(_ANSWER_S):
        while True:
            try:
                reader, writer = await ask(
                    port,
                    "POST /login HTTP/1.1\r\nConnection: close\r\n"
                    "Content-Type: application/x-www-form-urlencoded\r\n"
                    f"Origin: http://127.0.0.1:{port}\r\nContent-Length: {len(body)}",
                    body,
                )
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.1)
    head = (await reader.read(-1)).decode()
    writer.close()
    assert "303" in head[:20], head
    cookies = [
        line.partition(":")[2] for line in head.split("\r\n") if line.lower().startswith("set-cookie:")
    ]
    return ";".join(cookie.partition(";")[0] for cookie in cookies).strip()


def main() -> None:
    table = measure.Table(
        "overviews open", "ms CPU/s", "of it for pages", "floor", "longest turn, ms CPU", "kB/s to each",
        "first page, ms", "a page, ms", "its kB", "longest turn for one", "RSS, MB",
    )  # fmt: skip
    alone = measure.ask("benchmarks.console", "agent", "none")
    table.row("no page is served", *_of_all(alone, alone), *"-----", f"{alone['rss']:.1f}")
    for lookers in CASES:
        one = measure.ask("benchmarks.console", "agent", lookers)
        table.row(
            lookers, *_of_all(one, alone), f"{one['bytes'] / 1000:.0f}", f"{one['first'] * 1000:.0f}",
            f"{one['page'] * 1000:.0f}", f"{one['page_bytes'] / 1000:.0f}",
            f"{one['page_turn'] * 1000:.1f}", f"{one['rss']:.1f}",
        )  # fmt: skip


def _of_all(one: measure.Told, alone: measure.Told) -> tuple[str, ...]:
    spent = one["cpu"] - alone["cpu"]
    least = f"{one['floor'] * 1000:.1f}" if "floor" in one else "-"
    return f"{one['cpu'] * 1000:.0f}", f"{spent * 1000:.0f}", least, f"{one['turn'] * 1000:.1f}"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["agent", lookers]:
            with tempfile.TemporaryDirectory(dir=measure.FOLDER) as folder:
                measure.tell(asyncio.run(case(Path(folder), None if lookers == "none" else int(lookers))))
        case ["browsers", port, lookers]:
            asyncio.run(browsers(int(port), int(lookers)))
        case _:
            main()
