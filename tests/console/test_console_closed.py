"""What the page does not do: open to others without a password, tell other machines, fall at a full disk."""

import asyncio
import logging
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from edge_agent.console import run, server, site, users
from edge_agent.console.audit import Audit
from edge_agent.settings.console import Console
from tests.console.browser import Browser
from tests.console.moment import Now
from tests.console.rig import PASSWORD, console
from tests.console.served import FORM, SOON, new_agent, serving
from tests.faults.broker import free_port


async def test_over_tls_cookies_go_nowhere_else(tmp_path: Path) -> None:
    async with serving(tmp_path, tls=True, ask=new_agent) as served:
        body = f"name=admin&password={PASSWORD}".replace(" ", "+").encode()
        said = await served.ask("POST /login", FORM, f"Origin: {served.base}", body=body)
        cookies = [line for line in said.decode().splitlines() if line.lower().startswith("set-cookie: ")]
        assert len(cookies) == 2
        for cookie, name in zip(cookies, ("edge_agent", "edge_agent_known"), strict=True):
            assert cookie.split(": ")[1].startswith(f"__Host-{name}=")
            told = set(cookie.split("; ")[1:])
            assert {"HttpOnly", "Path=/", "SameSite=strict", "Secure"} <= told
            assert not any(part.startswith("Domain") for part in told)
        other = (f"{cookie.split(': ')[1].split(';')[0].removeprefix('__Host-')}" for cookie in cookies)
        said = await served.ask("GET /api/status", f"Cookie: {'; '.join(other)}")
        assert b" 401 " in said, "a cookie that another port could have set"
        mine = "; ".join(cookie.split(": ")[1].split(";")[0] for cookie in cookies)
        assert b" 200 " in await served.ask("GET /api/status", f"Cookie: {mine}")


async def test_it_does_not_open_to_others_while_nobody_has_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Console(listen=f"127.0.0.1:{free_port()}")
    monkeypatch.setattr(Console, "is_local", False)  # as if others could come here
    task = asyncio.create_task(run.run(settings, tmp_path / "outbox.db", new_agent))
    try:
        async with asyncio.timeout(SOON):
            while "stays closed while nobody has a password" not in caplog.text:  # noqa: ASYNC110 - the log tells
                await asyncio.sleep(0.02)
            with pytest.raises(OSError, match=r"refused|failed"):
                await asyncio.open_connection(*settings.address)
            users.set_password(users.place(tmp_path / "outbox.db"), "admin", PASSWORD, "operator")
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection(*settings.address)
                    break
                await asyncio.sleep(0.05)
            writer.close()
            await writer.wait_closed()
        assert "with the code" not in caplog.text
    finally:
        task.cancel()
        await asyncio.wait((task,))


@pytest.mark.parametrize(("address", "code"), [("127.0.0.1", 200), ("::1", 200), ("192.168.1.9", 404)])
async def test_only_this_machine_hears_that_it_lives(tmp_path: Path, address: str, code: int) -> None:
    app = site.make(Console(listen="127.0.0.1:8080"), tmp_path / "console.json", new_agent, Now())
    said = list[MutableMapping[str, Any]]()
    scope = {
        "type": "http", "method": "GET", "path": "/healthz", "query_string": b"", "client": (address, 9),
        "headers": [(b"host", b"localhost")], "server": ("127.0.0.1", 8080), "scheme": "http",
    }  # fmt: skip

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    await app(scope, receive, send)
    assert said[0]["status"] == code


async def test_a_disk_that_takes_nothing_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audit = Audit(tmp_path / "missing" / "console.audit")
    for _ in range(3):
        await audit.note("wang", "10.0.0.1", "logged in")
    assert caplog.text.count("who does what is not noted") == 1
    (tmp_path / "missing").mkdir()
    await audit.note("wang", "10.0.0.1", "logged in")
    assert "wang" in (tmp_path / "missing" / "console.audit").read_text("utf-8")


def test_of_the_audit_two_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.console.audit._LARGEST", 1000)
    audit = Audit(tmp_path / "console.audit")
    for number in range(60):
        asyncio.run(audit.note("wang", "10.0.0.1", f"change {number}"))
    kept = sorted(tmp_path.iterdir())
    assert [file.name for file in kept] == ["console.audit", "console.audit.old"]
    assert all(file.stat().st_size <= 1200 for file in kept)
    assert "change 59" in kept[0].read_text("utf-8")


async def test_what_the_agent_refuses_is_a_page_that_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask(verb: str, args: Mapping[str, Any], *tell: object) -> Mapping[str, Any]:
        return await new_agent(verb, args, *tell)

    caplog.set_level(logging.ERROR)
    async with serving(tmp_path, ask=ask) as served:
        browser = Browser(served.base)
        await browser.log_in(PASSWORD)
        page = await browser.get("/change")
        assert (page.status, page.text.count("about to start; try again in a minute")) == (409, 1)
        assert "default-src" in page.headers["content-security-policy"]
    assert caplog.records == []


async def test_a_wrong_request_is_a_page_with_the_way_out(tmp_path: Path) -> None:
    async with console(tmp_path) as browser:
        csrf = (await browser.log_in(PASSWORD)).csrf
        long = {"csrf": csrf, "mark": "m" * 65, "number": "1"}
        page = await browser.post("/change/undo", long)
        assert page.status == 409
        assert "The gateway refused this" in page.text
        assert "Leave it as it is" in page.text
        assert (await browser.get("/change", method="PUT")).headers["allow"] == "GET, HEAD"
        assert (await browser.get("/login", method="PUT")).headers["allow"] == "GET, HEAD, POST"
        for path in ("/change/undo", "/change/remove", "/nowhere"):
            page = await browser.post(path, {"csrf": csrf})
            assert 400 <= page.status < 500, path
        large = await browser.post("/change/undo", {"csrf": csrf, "number": "1" * 70_000})
        assert (large.status, "write less" in large.text) == (413, True)


async def test_it_is_made_when_somebody_comes_who_is_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edge_agent.console")
    settings = Console(listen=f"127.0.0.1:{free_port()}")
    made = asyncio.Event()

    async def make() -> ASGIApp:
        made.set()
        return site.make(settings, tmp_path / "console.json", new_agent, Now())

    task = asyncio.create_task(server.serve(settings, make))
    try:
        async with asyncio.timeout(SOON):
            while "console: http://" not in caplog.text:  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0.01)
            assert not made.is_set()
            reader, writer = await asyncio.open_connection(*settings.address)
            writer.write(b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
        assert made.is_set()
    finally:
        task.cancel()
        await asyncio.wait((task,))
