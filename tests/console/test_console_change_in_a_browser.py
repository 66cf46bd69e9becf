"""An operator puts a wrong meter right, adds sensors and calibrates them, in a real browser."""

import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text
from edge_agent.text.language import words
from tests.cli.running import AIR
from tests.console.rig import PATIENT, console_at
from tests.console.screen import chromium, findings, is_wider_than_its_window, logged_in

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("chromium")]

METER = """\
[device.meter]
driver = "modbus"
bus = "cabinet"
interval = "500ms"
settings = { profile = "chint_ddsu666", address = 8 }
"""
MEASURED = {"voltage": 230.0, "current": 5.5, "power": 1200.0, "energy_import": 800.0}


@dataclass
class Park:
    """An agent with a sensor and a meter, which is behind a transformer that it does not know of."""

    base: str
    browser: Browser
    folder: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def park(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Park]:
    folder = tmp_path_factory.mktemp("park")
    units = [
        unit(7, profile_text("modbus", "xy_md02"), lambda: AIR),
        unit(8, profile_text("modbus", "chint_ddsu666"), lambda: MEASURED),
    ]
    with ExitStack() as stack:
        wire = stack.enter_context(Wire(folder / "near", folder / "far", 9600))
        stack.enter_context(Slaves(wire.far, units))
        async with (
            console_at(folder, wire.near, more=METER, before=PATIENT) as console,
            chromium() as browser,
        ):
            yield Park(console.base, browser, folder)


@dataclass
class Hand:
    """Clicks, and counts. Each page on the way is one that anybody can use."""

    page: Page
    clicks: int = field(default=0)

    async def click(self, what: Locator) -> None:
        assert await findings(self.page) == []
        await what.first.click()
        self.clicks += 1

    async def button(self, name: str) -> None:
        await self.click(self.page.get_by_role("button", name=name))

    async def link(self, name: str) -> None:
        await self.click(self.page.get_by_role("link", name=name))


async def test_a_wrong_ct_ratio_is_put_right_in_few_clicks(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        hand = Hand(page)
        power = page.locator("tr", has=page.get_by_role("rowheader", name="power", exact=True))
        await expect(page.locator("#device-meter")).to_contain_text("1200 W")
        await hand.link("meter")
        await hand.link("Change its configuration")
        await page.get_by_label("CT ratio").fill("2")
        await expect(page.locator(".preview")).to_contain_text("1200 W → 2400 W")
        await expect(page.locator(".preview")).to_contain_text("800 kWh → 1600 kWh")
        await hand.button("Show what would change")
        await expect(page.locator(".difference ins")).to_have_count(1)
        await expect(page.locator(".difference ins")).to_contain_text("ct_ratio = 2")
        await hand.button("Apply")
        await hand.link("Look at meter")
        await expect(power).to_contain_text("2400 W")
        assert hand.clicks == 5
        await page.go_back()
        await hand.button("Undo this")
        await hand.button("Apply")
        await expect(page.get_by_role("status")).to_contain_text("device meter is the installer's again")
        await hand.link("Look at meter")
        await expect(power).to_contain_text("1200 W")
        assert hand.clicks == 8


async def test_a_sensor_is_found_and_added_in_few_clicks(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        hand = Hand(page)
        await page.goto("/change")
        await hand.button("Remove air")
        await hand.button("Apply")
        await page.goto("/")
        hand.clicks = 0
        await hand.link("Configuration")
        await hand.link("Find devices")
        await expect(page.get_by_label("Port")).to_have_value(str(park.folder / "near"))
        await page.get_by_label("First Modbus address").fill("7")
        await page.get_by_label("Last Modbus address").fill("8")
        await page.get_by_label("Serial formats").fill("9600 8N1")
        await hand.button("Begin")
        found = page.locator('a[href*="profile=xy_md02&"]')
        await expect(found).to_be_visible()
        await expect(page.locator("#scan")).to_contain_text("It is there already: meter")
        await expect(page.locator("#scan")).to_contain_text(re.compile(r"cabinet: \d devices? found"))
        await hand.click(found)
        await expect(page.get_by_label("Address")).to_have_value("7")
        await hand.button("Show what would change")
        await expect(page.locator(".difference")).to_contain_text("[device.xy-md02-7]")
        await hand.button("Apply")
        await expect(page.get_by_role("status")).to_contain_text("device xy-md02-7 added")
        assert hand.clicks == 6
        await hand.link("Look at xy-md02-7")
        await expect(page.locator("#now-xy-md02-7")).to_contain_text("30.5 °C")


async def test_a_meter_is_added_by_hand(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        hand = Hand(page)
        await hand.link("Configuration")
        await hand.link("Add a device by hand")
        await page.get_by_label("Find a model").fill("chint ddsu")
        await expect(page.locator("a.name:visible")).to_have_count(1)
        await hand.link("Chint DDSU666")
        await expect(page.get_by_label("Model")).to_have_value("chint_ddsu666")
        await page.get_by_label("Its id").first.fill("by-hand")
        await page.get_by_label("Address").fill("9")
        await page.get_by_label("Bus", exact=False).first.select_option("cabinet")
        await hand.button("Show what would change")
        await hand.button("Apply")
        await expect(page.get_by_role("status")).to_contain_text("device by-hand added")
        assert hand.clicks == 5


async def test_points_are_written_row_by_row_and_shown_at_once(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        await page.goto("/change/device/meter/power")
        output = page.locator("#calibrated")
        await page.get_by_label("Multiply by").fill("0.5")
        await page.get_by_label("Then add").fill("10")
        await expect(output).to_have_text("610 W")
        await page.get_by_label("Multiply by").fill("")
        await page.get_by_label("Then add").fill("")
        rows = [("0", "0"), ("1000", "1100"), ("2000", "2100")]
        await page.get_by_role("button", name="One more point").click()
        await expect(page.get_by_label("measured 3")).to_be_focused()
        for number, (measured, true) in enumerate(rows, 1):
            await page.get_by_label(f"measured {number}").fill(measured)
            await page.get_by_label(f"true {number}").fill(true)
        await expect(output).to_have_text("1300 W")
        assert await findings(page) == []
        await page.get_by_role("button", name="Remove this point").nth(1).click()
        await expect(output).to_have_text("1260 W")
        await page.get_by_role("button", name="Show what would change").click()
        await expect(page.locator(".difference")).to_contain_text("points = [[0, 0], [2000, 2100]]")


async def test_what_is_wrong_has_the_focus_and_what_was_typed_stays(park: Park) -> None:
    async with logged_in(park.browser, park.base) as page:
        await page.goto("/change/device/meter/power")
        await page.locator("summary", has_text="A new alarm").click()
        await page.get_by_label("Alarm above").fill("lots")
        await page.get_by_label("Only after").fill("soon")
        await page.get_by_label("Only after").press("Enter")
        wrong = page.get_by_label("Its id")
        await expect(wrong).to_be_focused()
        await expect(wrong).to_have_attribute("aria-invalid", "true")
        described = await wrong.get_attribute("aria-describedby")
        await expect(page.locator(f'[id="{described}"]')).to_contain_text("is not an id")
        await expect(page.get_by_label("Alarm above")).to_have_value("lots")
        assert await findings(page) == []
        await page.get_by_role("alert").get_by_role("link", name="Only after").press("Enter")
        await expect(page.get_by_label("Only after")).to_have_value("soon")
        await expect(page.get_by_label("Only after")).to_be_focused()


async def test_all_of_it_on_a_phone_in_chinese(park: Park) -> None:
    tr = words("zh_CN").tr
    async with logged_in(park.browser, park.base, language="zh-CN", phone=True, dark=True) as page:
        for path in (
            *("/change", "/change/device/meter", "/change/device/meter/power", "/change/bus/cabinet"),
            *("/change/scan", "/change/history", "/change/device", "/change/bus"),
        ):
            await page.goto(path)
            assert not await is_wider_than_its_window(page), path
            assert await findings(page) == [], path
        await page.goto("/change/device/meter")
        await page.fill('[id="settings.address"]', "900")
        await page.get_by_role("button", name=tr("Show what would change")).click()
        await expect(page.get_by_role("alert")).to_contain_text(tr("This cannot be used yet:"))
        await page.fill('[id="settings.address"]', "10")
        await page.get_by_role("button", name=tr("Show what would change")).click()
        await expect(page.locator(".difference")).to_be_visible()
        assert not await is_wider_than_its_window(page)
        assert await findings(page) == []
