"""The pages of the demo, as anybody sees them who starts it: the pictures of README and docs are these."""

import asyncio
import os
import re
import time
from pathlib import Path

from playwright.async_api import Page, ViewportSize, expect

from edge_agent.demo.config import GATEWAY, SITE
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity
from edge_agent.reading import Grade, Quality, Reading
from tests.cli.verb import started
from tests.console.browser import Browser
from tests.console.rig import PATIENT, answers
from tests.console.screen import chromium, findings, is_wider_than_its_window, logged_in
from tests.outbox.world import FakeClock, policy

DAY_MS = 86_400_000
EACH_MS = 30_000
LARGEST = 150_000  # bytes
ADDRESS = re.compile(r"(http://[\d.:]+)  \(user admin, password (\w+)")
_ANY_PORT = "from edge_agent.demo import page; page._USUAL = 0"  # other tests may show a demo, too
SIZE: ViewportSize = {"width": 1000, "height": 720}
TALL: ViewportSize = {"width": 1000, "height": 1180}
META = '{"channels":{"temperature":{"unit":"Cel"},"humidity":{"unit":"%"}}}'


async def a_day(file: Path) -> None:
    """Keep a day of the sensor of hall A, as an agent before would have: with a gap, a peak and a doubt."""
    clock = FakeClock("boot-before", DAY_MS, round(time.time() * 1000) - DAY_MS)
    identity = Identity(SITE, GATEWAY)
    outbox = await Outbox.open(file, identity, policy(), clock, ["city"])
    try:
        await outbox.enroll("climate-1", "before", META, ("temperature", "humidity"))
        for number in range(DAY_MS // EACH_MS):
            clock.wait(EACH_MS)
            if 1_200 < number < 1_500:
                continue
            swing = abs(number % 2_880 - 1_440) / 1_440
            peak = 6.0 if number in {2_000, 2_001} else 0.0
            values = {"temperature": 24.5 - 7 * swing + peak, "humidity": 48.0 + 9 * swing}
            doubt = {"temperature": Quality(Grade.SUSPECT, "implausible")} if peak else {}
            outbox.keep(Reading("climate-1", clock.mono, values, doubt))
            if number % 500 == 0:
                await outbox.flush()
        await outbox.flush()
    finally:
        await outbox.close()


async def test_the_pictures(tmp_path: Path) -> None:
    into = Path(os.environ.get("EDGE_AGENT_PICTURES", tmp_path))
    await a_day(tmp_path / "outbox.db")
    async with started("demo", "--dir", str(tmp_path), before=f"{_ANY_PORT}\n{PATIENT}") as demo:
        assert demo.stdout is not None
        async with asyncio.timeout(60):
            while (found := ADDRESS.search(line := said(await demo.stdout.readline()))) is None:
                assert line, "it ended"
        await answers(Browser(found[1]))
        async with chromium() as browser:
            async with logged_in(browser, found[1], password=found[2]) as page:
                await expect(page.locator("#summary")).to_contain_text("9 devices online")
                assert await findings(page) == []
                await page.set_viewport_size(SIZE)
                await page.screenshot(path=into / "overview.png")
                await page.goto("/device/climate-1?length=24h")
                lines = page.locator(".plot").first.locator(".line")
                await expect(lines.nth(1), "the gap is one").to_be_attached()
                await expect(page.locator(".plot .in-doubt")).to_have_count(1)
                await page.locator("#plot-temperature").hover(position={"x": 640, "y": 60})
                await page.set_viewport_size(TALL)
                await page.screenshot(path=into / "device.png")
                await page.set_viewport_size(SIZE)
                await what_a_newcomer_tries(page, into)
            async with logged_in(browser, found[1], password=found[2], phone=True, dark=True) as page:
                assert not await is_wider_than_its_window(page)
                await page.screenshot(path=into / "phone.png")
        demo.terminate()
        await demo.communicate()
    for name in ("overview", "device", "phone", "scan", "form", "happened"):
        assert 5_000 < (into / f"{name}.png").stat().st_size < LARGEST


async def what_a_newcomer_tries(page: Page, into: Path) -> None:
    """Remove a device of the demo, find it, add it again, calibrate it, and undo that."""

    async def press(name: str) -> None:
        await page.get_by_role("button", name=name).first.click()

    done = page.get_by_role("status")
    await page.goto("/change")
    await press("Remove climate-1")
    await press("Apply")
    await expect(done).to_contain_text("device climate-1 removed")
    await page.get_by_role("link", name="Find devices").click()
    await page.get_by_label("First Modbus address").fill("1")
    await page.get_by_label("Last Modbus address").fill("2")
    await page.get_by_label("Serial formats").fill("9600 8N1")
    await press("Begin")
    again = page.locator('a[href*="profile=xy_md02&"]')
    await expect(page.get_by_role("button", name="Begin")).to_be_visible(timeout=40_000)
    await expect(again).to_be_visible()
    await expect(page.locator("#scan")).to_contain_text("It is there already: meter-1")
    await page.screenshot(path=into / "scan.png")
    await again.click()
    await page.get_by_label("Its id").first.fill("climate-2")
    await press("Show what would change")
    await press("Apply")
    await page.get_by_role("link", name="Look at climate-2").click()
    await expect(page.locator("#now-climate-2")).to_contain_text(re.compile(r"\d °C"))
    await page.goto("/change/device/climate-2/temperature")
    for name, value in (("measured 1", "0"), ("true 1", "0.4"), ("measured 2", "50"), ("true 2", "50.4")):
        await page.get_by_label(name).fill(value)
    await page.screenshot(path=into / "form.png")
    await press("Show what would change")
    await press("Apply")
    await press("Undo this")
    await expect(page.locator(".difference")).to_contain_text("-calibrate = {points")
    await press("Apply")
    await expect(done).to_contain_text("device climate-2 changed")
    await page.goto("/happened")
    await expect(page.locator(".happened")).to_contain_text("device climate-1 removed")
    assert await findings(page) == []
    await page.screenshot(path=into / "happened.png")


def said(line: bytes) -> str:
    assert line, "the demo has ended"
    return line.decode()
