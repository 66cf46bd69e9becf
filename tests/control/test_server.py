"""The control socket over a real one: what is asked is answered, and nobody can hold the agent up."""

import asyncio
import json
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.control import server
from edge_agent.control.client import NoAgentError, NotAllowedError, ask
from edge_agent.control.protocol import RefusedError, socket_paths
from edge_agent.control.server import Tell, serving


class Asked:
    """Verbs for the tests. ``begun`` and ``ended`` tell of the one that waits."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def carry(self, verb: str, args: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
        match verb:
            case "echo":
                return args
            case "steps":
                for step in range(args["count"]):
                    await tell({"step": step})
                return {"steps": args["count"]}
            case "large":
                return {"text": "x" * args["size"]}
            case "wait":
                self.begun.set()
                try:
                    await asyncio.sleep(60)
                finally:
                    self.ended.set()
        raise RefusedError(f"no {verb}; ask for another")


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    made = Asked()
    async with serving(tmp_path / "c.sock", made.carry):
        yield made


@asynccontextmanager
async def connected(place: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(place)
    try:
        async with asyncio.timeout(60):
            yield reader, writer
    finally:
        writer.transport.abort()


async def said(reader: asyncio.StreamReader) -> dict[str, Any]:
    return dict(json.loads(await reader.readline()))


async def test_progress_comes_before_the_answer_and_a_refusal_says_why(asked: Asked, tmp_path: Path) -> None:
    place, heard = tmp_path / "c.sock", list[Mapping[str, Any]]()
    assert await ask("echo", {"a": [1, None]}, at=place) == {"a": [1, None]}
    assert await ask("steps", {"count": 3}, at=place, tell=heard.append) == {"steps": 3}
    assert heard == [{"step": 0}, {"step": 1}, {"step": 2}]
    with pytest.raises(RefusedError, match="no dance; ask for another"):
        await ask("dance", at=place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o660
    assert not asked.begun.is_set()


@pytest.mark.usefixtures("asked")
async def test_one_connection_carries_many_requests_each_with_its_id(tmp_path: Path) -> None:
    async with connected(tmp_path / "c.sock") as (reader, writer):
        for id_ in ("a", "b"):
            writer.write(f'{{"v": 1, "id": "{id_}", "verb": "echo"}}\n'.encode())
            assert await said(reader) == {"v": 1, "id": id_, "ok": {}}
        writer.write(b'{"v": 2, "verb": "echo"}\n')
        assert "this agent speaks version 1" in (await said(reader))["error"]
        writer.write(b"GET / HTTP/1.1\n")
        assert "this is no request" in (await said(reader))["error"]
        writer.write(b'{"v": 1, "verb": "echo"}\n')
        assert (await said(reader))["ok"] == {}
        writer.write(b"x" * 70_000 + b"\n")
        assert "at most 65536 bytes" in (await said(reader))["error"]
        assert await reader.read() == b""


async def test_who_goes_ends_what_he_asked_for(asked: Asked, tmp_path: Path) -> None:
    async with connected(tmp_path / "c.sock") as (_, writer):
        writer.write(b'{"v": 1, "verb": "wait"}\n')
        await asked.begun.wait()
        assert not asked.ended.is_set()
    async with asyncio.timeout(60):
        await asked.ended.wait()
    assert await ask("echo", at=tmp_path / "c.sock") == {}


async def test_the_end_of_the_agent_ends_all(tmp_path: Path) -> None:
    asked, place = Asked(), tmp_path / "c.sock"
    async with serving(place, asked.carry):
        waiting = asyncio.create_task(ask("wait", at=place))
        await asked.begun.wait()
    with pytest.raises(NoAgentError, match="went away"):
        await waiting
    assert asked.ended.is_set()
    assert not place.exists()
    with pytest.raises(NoAgentError, match="no agent runs here"):
        await ask("echo", at=place)


@pytest.mark.usefixtures("asked")
async def test_a_client_that_does_not_read_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_SLOW_S", 0.2)
    nobody = len(asyncio.all_tasks())
    async with connected(tmp_path / "c.sock") as (reader, writer):
        writer.write(b'{"v": 1, "verb": "large", "args": {"size": 5000000}}\n')
        while len(asyncio.all_tasks()) == nobody:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
        while len(asyncio.all_tasks()) > nobody:  # noqa: ASYNC110 - his own is gone once he is dropped
            await asyncio.sleep(0.01)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(5_000_000)
    assert await ask("echo", at=tmp_path / "c.sock") == {}


@pytest.mark.usefixtures("asked")
async def test_an_idle_client_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_IDLE_S", 0.1)
    async with connected(tmp_path / "c.sock") as (reader, _):
        assert await reader.read() == b""


async def test_there_is_room_for_some_clients_and_more_are_told(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_MOST_CLIENTS", 1)
    place = tmp_path / "c.sock"
    async with connected(place) as (_, writer):
        writer.write(b'{"v": 1, "verb": "wait"}\n')
        await asked.begun.wait()
        with pytest.raises(RefusedError, match="try again later"):
            await ask("echo", at=place)


async def test_a_stale_socket_is_replaced_and_a_live_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))
    first, second = Asked(), Asked()
    async with serving(place, first.carry):
        assert await ask("echo", at=place) == {}
        assert caplog.messages == []
        async with serving(place, second.carry):
            waiting = asyncio.create_task(ask("wait", at=place))
            await first.begun.wait()
        assert "another agent answers there" in caplog.text
        assert not waiting.done()
        waiting.cancel()
    place.write_text("mine")
    async with serving(place, first.carry):
        assert "there is a file of that name" in caplog.text
    assert place.read_text() == "mine"


async def test_a_place_that_cannot_be_is_told_and_the_agent_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for place in (tmp_path / "none" / "none" / "c.sock", tmp_path / ("x" * 120)):
        caplog.clear()
        async with serving(place, Asked().carry):
            assert "give it a place with --socket" in caplog.text


async def test_whoever_may_not_ask_is_told_what_to_do(asked: Asked, tmp_path: Path) -> None:
    """Root may do all, so that another user asks, in a process of his own."""
    if os.geteuid():
        pytest.fail("only root can ask as another user; run make test as root")
    code = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from edge_agent.control.client import NotAllowedError, ask\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"try: asyncio.run(ask('echo', at=Path({str(tmp_path / 'c.sock')!r})))\n"
        "except NotAllowedError as error: print(error)\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert b"join its group with `sudo usermod -aG edge-agent nobody`" in out
    assert not asked.begun.is_set()
    assert issubclass(NotAllowedError, NoAgentError)


def test_where_an_agent_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AGENT_SOCKET", "/run/mine.sock")
    assert socket_paths() == [Path("/run/mine.sock")]
    monkeypatch.delenv("EDGE_AGENT_SOCKET")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/one:/run/two")
    assert socket_paths() == [Path("/run/one/control.sock")]
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert socket_paths()[-1] == Path("/run/user/1000/edge-agent/control.sock")
