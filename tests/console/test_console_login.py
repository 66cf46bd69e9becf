"""Who gets in, and what keeps the others out."""

import http.client
import json
import re
import resource
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from edge_agent.console import login, tries, users
from edge_agent.console.sessions import OneTimeCode, Sessions
from edge_agent.console.users import User
from tests.console.browser import Browser
from tests.console.moment import Now
from tests.console.rig import PASSWORD, console
from tests.console.served import new_agent, serving


async def test_in_and_out(tmp_path: Path) -> None:
    async with console(tmp_path) as browser:
        stranger = await browser.get("/")
        assert stranger.at == "/login"
        assert "air" not in stranger.text
        assert (await browser.get("/api/status")).status == 401
        wrong = await browser.log_in("a park in the sun")
        assert (wrong.status, "is wrong" in wrong.text) == (403, True)
        page = await browser.log_in(PASSWORD)
        assert (page.status, page.at) == (200, "/")
        assert "Pump house" in page.text
        (cookie,) = [cookie for cookie in browser.cookies if cookie.name == "edge_agent"]
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite", "").lower() == "strict"
        assert (await browser.get("/api/status")).json["devices"][0]["id"] == "air"
        assert (await browser.post("/logout", {"csrf": page.csrf})).at == "/login"
        assert (await browser.get("/api/status")).status == 401
    assert PASSWORD not in (tmp_path / "console.json").read_text()
    assert (tmp_path / "console.json").stat().st_mode & 0o777 == 0o600


async def test_forms_of_other_sites_change_nothing(tmp_path: Path) -> None:
    async with console(tmp_path) as browser:
        page = await browser.log_in(PASSWORD)
        other = {"Origin": "http://evil.example"}
        assert (await browser.post("/logout", {"csrf": page.csrf}, **other)).status == 403
        assert (await browser.post("/logout", {"csrf": "guessed"})).status == 403
        assert (await browser.get("/api/status", Host="evil.example")).status == 400, "DNS rebinding"
        assert (await browser.get("/api/status")).status == 200
        policy = page.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*src=)|style=|\son\w+=", page.text), "nothing inline"


async def test_the_first_password_needs_the_code_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, password="", ask=new_agent) as served:
        browser = Browser(served.base)
        assert "journalctl" in (await browser.get("/login")).text
        assert (await browser.log_in("0000-0000")).status == 403
        (code,) = re.findall(r"with the code (\d{4}-\d{4})", caplog.text)
        page = await browser.log_in(code)
        assert page.at == "/password"
        assert "Old password" not in page.text
        assert (await Browser(served.base).log_in(code)).status == 403, "it is good for one time"
        set_ = await browser.post("/password", {"csrf": page.csrf, "password": PASSWORD, "again": PASSWORD})
        assert set_.status == 200
        assert (await Browser(served.base).log_in(PASSWORD)).at == "/"
        assert "journalctl" not in (await Browser(served.base).get("/login")).text
    assert [(one["who"], one["what"]) for one in noted(tmp_path)] == [
        ("admin", "logged in with the code"),
        ("admin", "/password: 303 /"),
        ("admin", "logged in"),
    ]


async def test_an_old_code_is_told_with_the_way_out(tmp_path: Path) -> None:
    now = Now()
    async with serving(tmp_path, password="", now=now) as served:
        now.at += 3601
        page = await Browser(served.base).get("/login")
        assert "sudo edge-agent console password" in page.text
        assert "journalctl" not in page.text


async def test_a_password_is_changed_by_who_knows_the_old_one(tmp_path: Path) -> None:
    """And then all other browsers of that user are out, whoever changed it."""
    file = tmp_path / "console.json"
    async with serving(tmp_path, ask=new_agent) as served:
        users.set_password(file, "li", PASSWORD, "viewer")
        mine, other, li = (Browser(served.base) for _ in range(3))
        for browser, name in ((mine, "admin"), (other, "admin"), (li, "li")):
            await browser.log_in(PASSWORD, name)
        page = await mine.get("/password")
        fields = {"csrf": page.csrf, "password": "rain in the park", "again": "rain in the park"}
        assert "Old password" in page.text
        for old in ({}, {"old": "a guess"}):
            assert (await mine.post("/password", fields | old)).status == 403
        assert await logged_in(other)
        assert (await mine.post("/password", fields | {"old": PASSWORD})).at == "/"
        assert [await logged_in(one) for one in (mine, other, li)] == [True, False, True]
        users.set_password(file, "li", "another one of li", "viewer")  # as the command line does
        assert [await logged_in(one) for one in (mine, li)] == [True, False]
        users.set_password(file, "li", PASSWORD, "viewer")
        await li.log_in(PASSWORD, "li")
        assert await logged_in(li)
        users.remove(file, "li")
        assert not await logged_in(li)
        with pytest.raises(LookupError, match="li has no login; there are: admin"):
            users.remove(file, "li")
        page = await mine.get("/password")
        wrong = [
            (await mine.post("/password", fields | {"csrf": page.csrf, "old": f"guess {number}"})).status
            for number in range(6)
        ]
        assert wrong == [403] * 3 + [429] * 3, "with two from before"
        assert await logged_in(mine)


async def test_thirty_wrong_passwords_lock_out_no_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tries, "HERE", "10.1.1.1")  # what follows comes from another machine
    monkeypatch.setattr(tries, "_ALL_EACH_S", 250.0)  # however long it takes to say all that
    monkeypatch.setattr(login, "address_of", lambda request: request.headers.get("x-test", "10.1.1.1"))
    async with serving(tmp_path, ask=new_agent) as served:
        operator = Browser(served.base)
        await operator.log_in(PASSWORD)
        daily, csrf = Browser(served.base, operator.cookies), (await operator.get("/password")).csrf
        for number in range(6):
            guesser, head = Browser(served.base), {"X-Test": f"10.0.0.{number}"}
            for _ in range(6):
                said = await guesser.post("/login", {"name": "admin", "password": "x"}, **head)
            assert said.status == 429
        assert (await Browser(served.base).log_in(PASSWORD)).status == 429, "a browser that is not known"
        assert await logged_in(operator), "who is in stays in"
        await operator.post("/logout", {"csrf": csrf})
        assert not await logged_in(operator)
        assert (await daily.log_in(PASSWORD)).at == "/", "and comes in again"


async def logged_in(browser: Browser) -> bool:
    return (await browser.get("/password")).at == "/password"


def noted(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "console.audit").read_text("utf-8").splitlines()]


async def test_a_slow_request_is_dropped_and_others_are_served(tmp_path: Path) -> None:
    async with console(tmp_path) as browser:
        host, port = urlsplit(browser.base).hostname, urlsplit(browser.base).port
        assert host is not None
        assert port is not None
        with closing(socket.create_connection((host, port), 60)) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            assert (await browser.log_in(PASSWORD)).status == 200
            slow.settimeout(60)
            assert slow.recv(1) == b"", "it is dropped"
        connection = http.client.HTTPConnection(host, port, timeout=60)
        with closing(connection):
            connection.request(
                "POST",
                "/login",
                body=b"a=" + b"b" * 100_000,
                headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": browser.base},
            )
            assert connection.getresponse().status == 413
        assert (await browser.get("/api/status")).status == 200


def test_sessions_end_and_are_few() -> None:
    now = Now()
    sessions = Sessions(now)
    mine = sessions.open("wang", "operator", "a")
    tokens = [sessions.open(f"u{number}", "viewer", "b") for number in range(60)]
    assert sum(sessions.find(token) is not None for token in tokens) == 50
    assert sessions.find(mine) is None, "it was not used for longest"
    same = [sessions.open("u59", "viewer", "b") for _ in range(30)]
    assert [sessions.find(token) is not None for token in same] == [False] * 20 + [True] * 10
    assert sum(sessions.find(token) is not None for token in tokens) == 40, "of others none"
    now.at += 12 * 3600 - 1
    assert sessions.find(same[-1]) is not None
    now.at += 2
    assert sessions.find(same[-1]) is not None
    assert sessions.find(same[-2]) is None, "it was idle"
    for _ in range(24 * 7 - 12):
        assert sessions.find(same[-1]) is not None
        now.at += 3600
    assert sessions.find(same[-1]) is None, "it was used, and is a week old"


def test_sessions_end_with_the_password_or_the_role() -> None:
    sessions = Sessions(Now())
    before = [
        sessions.open("wang", "operator", "a"),
        sessions.open("li", "viewer", "b"),
        sessions.open("admin", "operator", ""),
    ]
    sessions.keep({"wang": User("a", "operator"), "li": User("b", "viewer")})
    assert [sessions.find(token) is not None for token in before] == [True, True, True]
    admin = User("c", "operator")
    sessions.keep({"wang": User("other", "operator"), "li": User("b", "operator"), "admin": admin})
    assert [sessions.find(token) is not None for token in before] == [False, False, False]


def test_a_code_is_good_for_one_time_within_an_hour() -> None:
    now = Now()
    code = OneTimeCode(now)
    assert not code.take("1234")
    assert code.take(f" {code.text} ")
    assert not code.take(code.text)
    late = OneTimeCode(now)
    now.at += 3601
    assert not late.take(late.text)


@pytest.mark.parametrize(("name", "password"), [("admin", "short"), ("admin", "x" * 201), ("a b", PASSWORD)])
def test_what_is_no_password(tmp_path: Path, name: str, password: str) -> None:
    with pytest.raises(ValueError, match=r"password has|no name"):
        users.set_password(tmp_path / "console.json", name, password, "viewer")


def test_a_first_password_that_the_disk_does_not_take_leaves_no_damaged_file(tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # as a disk on which nothing is free
    try:
        with pytest.raises(OSError, match="File too large"):
            users.set_password(file, "admin", PASSWORD, "operator")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    users.set_password(file, "admin", PASSWORD, "operator")
    assert file.stat().st_mode & 0o777 == 0o600
    assert users.verify(users.read(file), "admin", PASSWORD)


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    file.write_text('{"users": {"admin": {"hash": "x", "role": "god"}}}')
    with pytest.raises(users.UsersError, match="edge-agent console password"):
        users.read(file)
