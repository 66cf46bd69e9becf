"""The last warnings and errors, for operators: without secrets, few enough, and with what to do."""

import asyncio
import logging
from pathlib import Path

import pytest

from edge_agent.console import users
from edge_agent.console.remedies import remedies, remedy
from edge_agent.diagnostics.recent_log import LINES, RecentLog
from tests.console.browser import Browser
from tests.console.forms import said
from tests.console.rig import PASSWORD, console

SAYS = """\
import logging, threading
from time import sleep
from edge_agent.diagnostics.recent_log import kept
def say():
    while kept() is None:
        sleep(0.1)
    log = logging.getLogger("edge_agent.outbox")
    log.warning("meter-7 could not be set up: it was asked with sesame-1234, password = rain")
    log.error("<b>/dev/ttyUSB3 is not there; plug it in</b>")
    log.info("all is well")
threading.Thread(target=say, daemon=True).start()
"""
UPLINK = '[uplink.city]\nservers = ["mqtt://127.0.0.1:1"]\nusername = "gw"\npassword = "sesame-1234"\n'


async def test_operators_see_what_is_wrong_and_no_secret(tmp_path: Path) -> None:
    users.set_password(tmp_path / "console.json", "wang", PASSWORD, "viewer")
    async with console(tmp_path, more=UPLINK, before=SAYS) as browser:
        assert "Log in" in said(await browser.get("/log"))
        await browser.log_in(PASSWORD)
        page = await browser.get("/log")
        async with asyncio.timeout(60):
            while "ttyUSB3" not in page.text:
                await asyncio.sleep(0.2)
                page = await browser.get("/log")
        told = said(page)
        assert "it was asked with (removed), password = (removed)" in told
        assert "sesame" not in page.text
        assert "&lt;b&gt;/dev/ttyUSB3 is not there" in page.text
        assert "No such port. Look at: Plug it in" in told
        assert "all is well" not in told
        assert 'href="/log"' in (await browser.get("/")).text
        chinese = said(await browser.get("/log", **{"Accept-Language": "zh-CN"}))
        assert "警告" in chinese
        assert "含义" in chinese
        viewer = Browser(browser.base)
        await viewer.log_in(PASSWORD, "wang")
        assert (await viewer.get("/log")).status == 403
        assert 'href="/log"' not in (await viewer.get("/")).text


def test_only_the_last_ones_are_kept_and_none_is_endless() -> None:
    log, recent = logging.getLogger("edge_agent.test_log"), RecentLog()
    log.addHandler(recent)
    try:
        for number in range(LINES + 5):
            log.warning("line %d", number)
        log.error("it fell", exc_info=ValueError("why" * 5_000))
    finally:
        log.removeHandler(recent)
    assert len(recent.lines) == LINES
    assert recent.lines[0].text == "line 6"
    assert len(recent.lines[-1].text) < 2_100
    assert recent.lines[-1].text.startswith("it fell\nValueError: why")


@pytest.mark.parametrize(
    ("line", "do"),
    [
        (
            "outbox: 5 readings wait in memory, and the oldest are given up (reason: overflow); see",
            "outbox.memory",
        ),
        ("/dev/serial/by-id/usb-1 is in use by minicom (pid 7)", "Stop it, or use another port."),
        ("configuration: not reloaded: agent.toml:7: device.a: is not a device", "edge-agent reload"),
    ],
)
def test_what_operate_md_says_of_a_line(line: str, do: str) -> None:
    found = remedy(line, remedies("en"))
    assert found is not None
    assert do in found.do
    chinese = remedy(line, remedies("zh_CN"))
    assert chinese is not None
    assert chinese.pieces == found.pieces


def test_it_is_said_in_chinese_where_that_is_written() -> None:
    line = "/dev/ttyUSB3 is in use by minicom (pid 7)"
    in_chinese, in_english = (remedy(line, remedies(language)) for language in ("zh_CN", "en"))
    assert in_chinese is not None
    assert in_english is not None
    assert in_chinese.do != in_english.do


def test_of_what_is_not_known_nothing_is_said() -> None:
    assert remedy("the moon is green", remedies("en")) is None
