"""What an operator sees and does, in a real browser."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.language import words
from edge_agent.profile import profile_text
from tests.cli.running import AIR
from tests.console.rig import console_at
from tests.console.screen import PHONE, chromium, findings, is_wider_than_its_window, logged_in

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("chromium")]

SOON_MS = 30_000
QUICK = """\
from edge_agent.collect import device, schedule
device._LATE_AT_LEAST_MS, device._OFFLINE_AT_LEAST_MS, schedule._LONGEST_PAUSE = 2000, 4000, 0.5
"""


@dataclass
class Park:
    """An agent with one sensor, which can be unplugged, and a browser."""

    base: str
    browser: Browser
    air: dict[str, float]
    far: Path
    plugged: ExitStack

    def plug(self) -> None:
        sensor = unit(7, profile_text("modbus", "xy_md02"), lambda: self.air)
        self.plugged.enter_context(Slaves(self.far, [sensor]))

    def unplug(self) -> None:
        self.plugged.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def park(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Park]:
    folder = tmp_path_factory.mktemp("park")
    with Wire(folder / "near", folder / "far", 9600) as wire, ExitStack() as plugged:
        async with console_at(folder, wire.near, before=QUICK) as page, chromium() as browser:
            made = Park(page.base, browser, dict(AIR), wire.far, plugged)
            made.plug()
            yield made


async def test_the_overview_is_live(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        row = page.locator("#device-air")
        await expect(row).to_contain_text("30.5 °C", timeout=SOON_MS)
        park.air["temperature"] = 12.5
        await expect(row).to_contain_text("12.5 °C", timeout=SOON_MS)
        await expect(page.locator("#summary")).to_contain_text("1 device online")
        assert await findings(page) == []


async def test_a_device_goes_offline_and_comes_back(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        row, summary = page.locator("#device-air"), page.locator("#summary")
        await expect(row).to_contain_text("online", timeout=SOON_MS)
        park.unplug()
        await expect(row.locator(".state")).to_have_text("offline", timeout=SOON_MS)
        await expect(summary).to_contain_text("1 offline")
        await expect(summary).to_contain_text("air: offline")
        await expect(row).to_contain_text("NoAnswer")
        assert await findings(page) == []
        park.plug()
        await expect(row.locator(".state")).to_have_text("online", timeout=SOON_MS)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_on_a_phone_in_chinese(park: Park, *, dark: bool) -> None:
    async with logged_in(park.browser, park.base, language="zh-CN", phone=True, dark=dark) as page:
        assert await page.get_attribute("html", "lang") == "zh-CN"
        await expect(page.locator("#device-air .state")).to_have_text(
            words("zh_CN").tr("online"), timeout=SOON_MS
        )
        assert not await is_wider_than_its_window(page)
        assert await findings(page) == []
        await page.get_by_role("button", name="English").click()
        await expect(page.locator("#device-air .state")).to_have_text("online")


async def something_kept(page: Page) -> None:
    async with asyncio.timeout(30):
        while not (await (await page.request.get("/api/device/air/past")).json())["channels"]:  # noqa: ASYNC110 - another process keeps it
            await asyncio.sleep(0.2)


async def test_the_page_of_a_device(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        await something_kept(page)
        await page.goto("/device/air")
        now = page.locator("#now-air")
        await expect(now).to_contain_text("online", timeout=SOON_MS)
        await expect(page.get_by_role("img", name="temperature")).to_be_visible()
        assert await page.locator(".plot .line").count() >= 2
        park.air["humidity"] = 71.5
        await expect(now).to_contain_text("71.5 %", timeout=SOON_MS)
        park.air["humidity"] = 22.5
        await page.get_by_role("button", name="Read now").click()
        await expect(page.get_by_role("status")).to_contain_text("22.5 %")
        assert await findings(page) == []
        await page.get_by_role("link", name="7 days").click()
        await expect(page.locator(".lengths [aria-current]")).to_have_text("7 days")
        await page.set_viewport_size(PHONE)
        assert not await is_wider_than_its_window(page)
        async with asyncio.timeout(30):
            while (lowest := await _lowest(page)) != 22.5:
                assert lowest == 48.6, "until the last one is kept"
                await asyncio.sleep(0.2)


async def _lowest(page: Page) -> float:
    """Return the lowest humidity of the newest step of a day; its highest is what was there before."""
    told = await (await page.request.get("/api/device/air/past?length=24h")).json()
    assert told["channels"]["humidity"]["unit"] == "%"
    _, _, lowest, highest = told["channels"]["humidity"]["spans"][-1][:4]
    assert highest >= 48.6
    return float(lowest)


async def test_by_keyboard_alone(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        await page.keyboard.press("Tab")
        await expect(page.locator(":focus")).to_have_text("To the content")
        for _ in range(20):
            await page.keyboard.press("Tab")
            if await page.locator(":focus").get_attribute("href") == "/device/air":
                break
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/device/air")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("air")
