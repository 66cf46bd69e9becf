"""An agent with a console, in a process of its own."""

import asyncio
import urllib.error
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent.console import users
from tests.cli.running import config, running, sensor
from tests.console.browser import Browser
from tests.faults.broker import free_port

PASSWORD = "a park in the rain"
PATIENT = "from edge_agent.control import scan; scan._WITHIN = 5.0"
"""A scan that finds the sensor of a busy machine, too: it is played by the process of the test."""


@asynccontextmanager
async def console(
    folder: Path, *, password: str = PASSWORD, more: str = "", before: str = ""
) -> AsyncIterator[Browser]:
    """Run it with a sensor; yield a browser once its page answers. Without a password nobody has one."""
    async with (
        sensor(folder) as tty,
        console_at(folder, tty, password=password, more=more, before=before) as browser,
    ):
        yield browser


@asynccontextmanager
async def console_at(
    folder: Path, tty: Path, *, password: str = PASSWORD, more: str = "", before: str = ""
) -> AsyncIterator[Browser]:
    """Run it on a wire of one's own. ``before``: what is done in its process first."""
    port = free_port()
    if password:
        users.set_password(folder / "console.json", "admin", password, "operator")
    file = config(folder, tty, f'{more}\n[console]\nlisten = "127.0.0.1:{port}"\n')
    async with running(file, before):
        browser = Browser(f"http://127.0.0.1:{port}")
        await answers(browser)
        yield browser


async def answers(browser: Browser) -> None:
    """Wait until its page does."""
    async with asyncio.timeout(60):
        while True:
            try:
                if (await browser.get("/healthz")).status == 200:
                    return
            except urllib.error.URLError:
                pass
            await asyncio.sleep(0.1)


async def runs(browser: Browser, *ids: str) -> None:
    """Wait until these devices run: what a page shows is at most a second old."""
    async with asyncio.timeout(60):
        while True:
            status = (await browser.get("/api/status")).json
            if [device["id"] for device in status["devices"]] == list(ids):
                return
            await asyncio.sleep(0.2)
