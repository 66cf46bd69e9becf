"""What an operator sees and does, in a real browser."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text
from edge_agent.text.language import words
from tests.cli.running import AIR
from tests.console.rig import console_at
from tests.console.screen import PHONE, chromium, findings, is_wider_than_its_window, logged_in

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("chromium")]

QUICK = """\
from edge_agent.collect import device, schedule
device._LATE_AT_LEAST_MS, device._OFFLINE_AT_LEAST_MS, schedule._LONGEST_PAUSE = 2000, 4000, 0.5
from edge_agent.console import live
live._LONGEST_S = 2.0  # so that pages ask anew all the time
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
        await expect(row).to_contain_text("30.5 °C")
        park.air["temperature"] = 12.5
        await expect(row).to_contain_text("12.5 °C")
        await expect(page.locator("#summary")).to_contain_text("1 device online")
        assert await findings(page) == []


async def test_a_device_goes_offline_and_comes_back(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        row, summary = page.locator("#device-air"), page.locator("#summary")
        await expect(row).to_contain_text("online")
        park.unplug()
        await expect(row.locator(".state")).to_have_text("offline")
        await expect(summary).to_contain_text("1 offline")
        trouble = summary.locator(".troubles li")
        await expect(trouble.get_by_role("link", name="air")).to_have_attribute("href", "/device/air")
        await expect(trouble.locator(".todo")).to_contain_text("A and B swapped")
        await expect(row).to_contain_text("NoAnswer")
        await expect(page.locator("#place-0")).to_contain_text("1 offline")
        assert await findings(page) == []
        park.plug()
        await expect(row.locator(".state")).to_have_text("online")
        await page.get_by_role("link", name="What happened").click()
        rows = page.locator(".happened tbody tr")
        async with asyncio.timeout(60):
            while "after" not in (await rows.first.text_content() or ""):  # until it is kept
                await asyncio.sleep(0.2)
                await page.reload()
        await expect(rows.filter(has_text="offline").first).to_contain_text("no answer for")
        assert await findings(page) == []
        await page.set_viewport_size(PHONE)
        assert not await is_wider_than_its_window(page)
        await page.get_by_label("What").select_option("start")
        await page.get_by_role("button", name="Show").click()
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("the agent was started")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_on_a_phone_in_chinese(park: Park, *, dark: bool) -> None:
    async with logged_in(park.browser, park.base, language="zh-CN", phone=True, dark=dark) as page:
        assert await page.get_attribute("html", "lang") == "zh-CN"
        await expect(page.locator("#device-air .state")).to_have_text(words("zh_CN").tr("online"))
        assert not await is_wider_than_its_window(page)
        assert await findings(page) == []
        await page.get_by_role("button", name="English").click()
        await expect(page.locator("#device-air .state")).to_have_text("online")


async def something_kept(page: Page) -> None:
    async with asyncio.timeout(60):
        while not (await (await page.request.get("/api/device/air/past")).json())["channels"]:  # noqa: ASYNC110 - another process keeps it
            await asyncio.sleep(0.2)


async def test_the_page_of_a_device(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        await something_kept(page)
        await page.goto("/device/air")
        now = page.locator("#now-air")
        await expect(now).to_contain_text("online")
        plot = page.get_by_role("slider", name="temperature")
        await expect(plot).to_be_visible()
        await expect(page.locator(".plot .line").nth(1)).to_be_attached()
        await plot.focus()
        await page.keyboard.press("Home")
        read = page.locator("#figure-temperature .at")
        await expect(read).to_contain_text("°C")
        await expect(plot).to_have_attribute("aria-valuetext", await read.text_content() or "nothing")
        await page.locator("#plot-humidity").hover()
        await expect(page.locator("#figure-humidity .at")).to_contain_text("%")
        park.air["humidity"] = 71.5
        await expect(now).to_contain_text("71.5 %")
        park.air["humidity"] = 22.5
        await page.get_by_role("button", name="Read now").click()
        await expect(page.get_by_role("status")).to_contain_text("22.5 %")
        assert await findings(page) == []
        await page.get_by_role("link", name="7 days").click()
        await expect(page.locator(".lengths [aria-current]")).to_have_text("7 days")
        await page.get_by_role("link", name="as a table").first.click()
        await expect(page.get_by_role("table")).to_contain_text("good")
        assert await findings(page) == []
        await page.go_back()
        await page.set_viewport_size(PHONE)
        assert not await is_wider_than_its_window(page)
        async with asyncio.timeout(60):
            while (lowest := await _lowest(page)) != 22.5:
                assert lowest == 48.6, "until the last one is kept"
                await asyncio.sleep(0.2)


async def _lowest(page: Page) -> float:
    """Return the lowest humidity of the day; its highest is what was there before."""
    told = await (await page.request.get("/api/device/air/past?length=24h")).json()
    assert told["channels"]["humidity"]["unit"] == "%"
    spans = told["channels"]["humidity"]["spans"]
    assert max(highest for _, _, _, highest, *_ in spans) >= 48.6
    return float(min(lowest for _, _, lowest, *_ in spans))


async def test_by_keyboard_alone(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        await page.keyboard.press("Tab")
        await expect(page.locator(":focus")).to_have_text("To the content")
        for _ in range(60):
            await page.keyboard.press("Tab")
            if await page.locator(":focus").get_attribute("href") == "/device/air":
                break
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/device/air")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("air")


async def test_a_plot_follows_by_itself(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        await something_kept(page)
        await page.route("**/device/air", quickly)
        await page.goto("/device/air")
        await page.evaluate("document.getElementById('past').scrollIntoView()")  # in one step: it is replaced
        park.air["temperature"] = 61.5
        await expect(page.locator("#figure-temperature .range")).to_contain_text("61.5")
        park.air["temperature"] = 30.5


async def quickly(route: Route) -> None:
    """Let the page follow each second, so that nobody waits here for its own pace."""
    answer = await route.fetch()
    text = re.sub(r'data-every="\d+"', 'data-every="1"', await answer.text())
    await route.fulfill(response=answer, body=text)


async def test_frames_what_it_is_and_its_driver(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        await something_kept(page)
        await page.goto("/device/air")
        await page.locator("#frames").scroll_into_view_if_needed()  # it follows while somebody sees it
        frames = page.locator("#frames li")
        await expect(frames.first).to_contain_text("07 04 00 01 00 02 20 6D")
        await expect(page.locator("#frames")).to_contain_text("temperature 30.5 °C")
        await expect(page.locator("#what")).to_contain_text("9600 8N1")
        await page.get_by_text("Wiring").click()
        await expect(page.locator("#what details")).to_contain_text("120 ohm at both ends")
        await page.get_by_role("link", name="modbus xy_md02").click()
        await expect(page.locator("#xy_md02")).to_be_in_viewport()
        assert await findings(page) == []


async def test_find_a_device(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        row = page.locator("#device-air")
        await expect(row).to_contain_text("online")
        await page.keyboard.press("/")
        await page.keyboard.type("nobody")
        await expect(row).to_be_hidden()
        await expect(page.locator("#find output")).to_have_text("None is so.")
        await page.keyboard.press("Escape")
        await expect(row).to_be_visible()
        await page.get_by_role("button", name="late").click()
        await expect(row).to_be_hidden()
        await page.get_by_role("button", name="late").click()
        await page.keyboard.press("/")
        await page.keyboard.type("nobody")
        await page.get_by_label("Order").select_option("age")
        await page.wait_for_url("**/?find=nobody&sort=age")
        await expect(row).to_be_hidden()
        await page.locator("#words").fill("")
        await page.locator("#words").blur()
        await expect(row).to_contain_text("hall-b")
        assert await findings(page) == []
        await page.keyboard.press("/")
        await page.keyboard.type("HALL-B air")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/device/air")
