"""An operator finds a sensor, adds it and calibrates it, in a real browser, on a desk and on a phone."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.console.rig import PATIENT, console
from tests.console.screen import chromium, findings, is_wider_than_its_window, logged_in

pytestmark = pytest.mark.xdist_group("chromium")

SOON_MS = 40_000
SECOND = """\
[bus.far]
port = "/dev/no-such-port"
[device.second]
driver = "modbus"
bus = "far"
settings = { profile = "xy_md02", address = 8 }
"""


async def test_a_sensor_is_found_added_and_calibrated(tmp_path: Path) -> None:
    own = tmp_path / "conf.d" / "50-console.toml"
    own.parent.mkdir()
    own.write_text(SECOND, "utf-8")
    async with (
        console(tmp_path, before=PATIENT) as park,
        chromium() as browser,
        logged_in(browser, park.base) as page,
    ):
        await page.click("text=Configuration")
        assert await findings(page) == []
        await page.click("text=Find devices")
        assert await findings(page) == []
        await page.fill("#port", str(tmp_path / "near"))
        await page.fill("#first", "7")
        await page.fill("#last", "7")
        await page.fill("#speeds", "9600 8N1")
        await page.click("text=Begin")
        found = page.locator('a[href*="profile=xy_md02&"]')
        await expect(found).to_be_visible(timeout=SOON_MS)
        await found.click()
        assert await findings(page) == []
        await expect(page.locator('[name="settings.address"]')).to_have_value("7")
        await page.fill('[name="settings.address"]', "9")
        await page.click("text=Show what would change")
        await expect(page.locator(".difference")).to_contain_text("+[device.xy-md02-7]")

        await page.goto("/change/device/second/temperature")
        await page.fill('[id="calibrate.offset"]', "2.5")
        assert await findings(page) == []
        await page.click("text=Show what would change")
        await expect(page.locator(".difference")).to_contain_text("+calibrate = {offset = 2.5}")
        assert await findings(page) == []
        await page.click("button.main")
        await expect(page.get_by_role("status")).to_contain_text("device second changed")
        assert "offset = 2.5" in own.read_text("utf-8")
        await page.goto("/change/history")
        assert await findings(page) == []

        async with logged_in(browser, park.base, phone=True, dark=True) as phone:
            for path in ("/change", "/change/device/second", "/change/scan", "/change/history"):
                await phone.goto(path)
                assert not await is_wider_than_its_window(phone), path
                assert await findings(phone) == []
