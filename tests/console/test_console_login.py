"""Who gets in, and what keeps the others out."""

import http.client
import re
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from edge_agent.console import users
from edge_agent.console.sessions import OneTimeCode, Sessions, Tries
from tests.console.rig import PASSWORD, console


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


async def test_the_first_password_needs_the_code_of_the_log(tmp_path: Path) -> None:
    async with console(tmp_path, password="") as browser:
        assert "journalctl" in (await browser.get("/login")).text
        assert (await browser.log_in("0000-0000x")).status == 403


async def test_a_slow_request_is_dropped_and_others_are_served(tmp_path: Path) -> None:
    async with console(tmp_path) as browser:
        host, port = urlsplit(browser.base).hostname, urlsplit(browser.base).port
        assert host is not None
        assert port is not None
        with closing(socket.create_connection((host, port), 20)) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            assert (await browser.log_in(PASSWORD)).status == 200
            slow.settimeout(30)
            assert slow.recv(1) == b"", "it is dropped"
        connection = http.client.HTTPConnection(host, port, timeout=20)
        with closing(connection):
            connection.request(
                "POST",
                "/login",
                body=b"a=" + b"b" * 100_000,
                headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": browser.base},
            )
            assert connection.getresponse().status == 413
        assert (await browser.get("/api/status")).status == 200


class Now:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_who_tries_too_often_waits() -> None:
    now = Now()
    tries = Tries(now)
    for _ in range(5):
        assert tries.wait("10.0.0.1") == 0
        tries.wrong("10.0.0.1")
    assert 0 < tries.wait("10.0.0.1") <= 300
    assert tries.wait("10.0.0.2") == 0
    for other in range(30):
        tries.wrong(f"10.0.1.{other}")
    assert tries.wait("10.0.0.2") > 0, "many addresses, one attacker"
    now.at += 301
    assert tries.wait("10.0.0.1") == 0


def test_sessions_end_and_are_few() -> None:
    now = Now()
    sessions = Sessions(now)
    tokens = [sessions.open(f"u{number}", "viewer") for number in range(60)]
    assert sum(sessions.find(token) is not None for token in tokens) == 50
    assert sessions.find(tokens[-1]) is not None
    sessions.close_all("u59")
    assert sessions.find(tokens[-1]) is None
    now.at += 13 * 3600
    assert not any(sessions.find(token) for token in tokens)


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


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    file.write_text('{"users": {"admin": {"hash": "x", "role": "god"}}}')
    with pytest.raises(users.UsersError, match="edge-agent console password"):
        users.read(file)
