"""Those who are not let in: they cannot guess faster than allowed, hold connections, or fill the log."""

import asyncio
import socket
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from edge_agent.console import connections, guests, live
from edge_agent.status import DeviceStatus, as_json
from tests.console.browser import Browser
from tests.console.rig import PASSWORD
from tests.console.served import FORM, NEW, SOON, serving


async def test_many_guesses_at_once_are_no_more_than_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "_MOST_STRANGERS", 20)
    async with serving(tmp_path) as console:
        found = Counter(await asyncio.gather(*(console.log_in(f"guess {number}") for number in range(20))))
        assert found == {b"403": 5, b"429": 15}
        assert await console.log_in(PASSWORD) == b"429"


async def test_an_address_cannot_be_made_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path) as console:
        for number in range(6):
            said = await console.ask(
                "POST /login",
                FORM,
                f"Origin: http://127.0.0.1:{console.port}",
                f"X-Forwarded-For: 10.0.0.{number}",
                body=b"name=admin&password=x",
            )
        assert said[9:12] == b"429"
    assert "10.0.0." not in caplog.text


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://[", ""])
async def test_no_other_site_can_log_in_or_use_up_the_tries(tmp_path: Path, origin: str) -> None:
    async with serving(tmp_path) as console:
        for _ in range(6):
            assert await console.log_in("a guess", f"Origin: {origin}") == b"403"
        assert await console.log_in(PASSWORD) == b"303"


async def test_who_hangs_up_in_the_middle_fills_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as console:
        for _ in range(3):
            host = f"127.0.0.1:{console.port}"
            head = (
                "POST /login HTTP/1.1", f"Host: {host}", f"Origin: http://{host}", FORM, "Content-Length: 9",
            )  # fmt: skip
            async with console.open() as (_, writer):
                writer.write("\r\n".join((*head, "", "name=")).encode())
        assert await console.log_in(PASSWORD) == b"303"
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []


async def test_half_a_second_request_holds_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_REQUEST_S", 1.0)
    async with serving(tmp_path) as console, console.open() as (reader, writer):
        writer.write(f"GET /login HTTP/1.1\r\nHost: 127.0.0.1:{console.port}\r\n\r\n".encode())
        assert (await reader.readuntil(b"</html>")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HT")
        await reader.read()  # until it is dropped


async def test_who_reads_no_answer_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_REQUEST_S", 0.3)
    monkeypatch.setattr(connections, "_OF_STRANGERS", (1, 0.0))  # or it takes long to send that much
    async with serving(tmp_path) as console:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", console.port))
            deaf.setblocking(False)
            asked = (
                f"GET /static/console.css HTTP/1.1\r\nHost: 127.0.0.1:{console.port}\r\n\r\n".encode() * 100
            )
            with pytest.raises(ConnectionError):
                await _send_for_ever(deaf, asked)


async def _send_for_ever(to: socket.socket, said: bytes) -> NoReturn:
    async with asyncio.timeout(SOON):
        while True:
            await asyncio.get_running_loop().sock_sendall(to, said)


async def test_connections_that_say_nothing_take_no_more_than_their_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before TLS has begun, too: each takes a descriptor from the agent, which needs them for its work."""
    monkeypatch.setattr(guests, "_MOST_STRANGERS", 5)
    monkeypatch.setattr(connections, "_REQUEST_S", 1.0)
    loop = asyncio.get_running_loop()
    async with serving(tmp_path, tls=True) as console, asyncio.timeout(SOON):
        with ExitStack() as stack:
            ends = []
            for _ in range(12):
                silent = stack.enter_context(socket.create_connection(("127.0.0.1", console.port)))
                silent.setblocking(False)
                ends.append(asyncio.create_task(loop.sock_recv(silent, 1)))
            first = asyncio.as_completed(ends)
            for _ in range(7):
                with suppress(ConnectionError):
                    assert await next(first) == b""
            heard = [end for end in ends if not end.done()]
            assert heard, "some wait for their handshake"
            await asyncio.wait(heard)  # which they are not given for ever
        assert b"200 OK" in await console.ask("GET /login")


async def test_a_page_that_does_not_read_what_is_told_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a crowd of devices, each with another value at each look."""
    monkeypatch.setattr(connections, "_REQUEST_S", 0.5)
    monkeypatch.setattr(live, "_SLOW_S", 0.3)
    monkeypatch.setattr(live, "_EVERY_S", 0.02)
    asked = 0

    async def busy_agent(*_verb: object) -> Mapping[str, Any]:
        nonlocal asked
        asked += 1
        return as_json(replace(NEW, devices=tuple(_device(f"d{number}", asked) for number in range(60))))

    async with serving(tmp_path, ask=busy_agent) as served:
        browser = Browser(served.base)
        await browser.log_in(PASSWORD)
        cookies = "; ".join(f"{one.name}={one.value}" for one in browser.cookies)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", served.port))
            deaf.setblocking(False)
            host = f"Host: 127.0.0.1:{served.port}"
            deaf.sendall(f"GET /api/live HTTP/1.1\r\n{host}\r\nCookie: {cookies}\r\n\r\n".encode())
            with pytest.raises(ConnectionError):
                await _send_for_ever(deaf, b"x" * 1000)
        before = asked
        await asyncio.sleep(0.2)
        assert asked <= before + 1, "nobody looks, and nothing is asked"


def _device(id_: str, seq: int) -> DeviceStatus:
    values = {f"voltage_l{number}": seq + number / 10 for number in range(20)}
    units = dict.fromkeys(values, "V")
    return DeviceStatus(id_, id_, "modbus", "online", 0.1, seq, values, {}, units, {}, "", "bus")
