"""A real browser: Debian's Chromium, led by Playwright. It draws, runs scripts, and judges with axe."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, ConsoleMessage, Page, ViewportSize, async_playwright, expect

from tests.console.rig import PASSWORD
from tests.peers.npm import HERE, needs, node

PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 800}
_WITHIN_MS = 60_000
expect.set_options(timeout=_WITHIN_MS)  # for what is expected; its own 5 s are short where a machine is busy
_SERIOUS = {"serious", "critical"}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run it, without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=needs("chromium", "chromium"), args=["--disable-gpu"]
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def logged_in(  # noqa: PLR0913 - each is a window of another kind
    browser: Browser,
    base: str,
    *,
    language: str = "en-GB",
    phone: bool = False,
    dark: bool = False,
    password: str = PASSWORD,
) -> AsyncIterator[Page]:
    """Open the overview in a window of its own. What its scripts complain of fails the test."""
    context = await browser.new_context(
        base_url=base,
        locale=language,
        viewport=PHONE if phone else DESK,
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(_WITHIN_MS)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if _is_complaint(said) else None)
    try:
        await page.goto("/login")
        await page.fill("[name=name]", "admin")
        await page.fill("[name=password]", password)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{base}/")
        yield page
        assert complaints == [], complaints
    finally:
        await context.close()


def _is_complaint(said: ConsoleMessage) -> bool:
    """A form that comes back with what is wrong in it is none, though a browser notes its status."""
    return said.type == "error" and "status of 422" not in said.text


async def findings(page: Page) -> list[str]:
    """Return what axe finds in a page that keeps somebody out."""
    node()  # its packages are installed with this
    script = (HERE / "node_modules/axe-core/axe.min.js").read_text("utf-8")
    await page.evaluate(script)  # not as a tag: the page's policy allows none
    told = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{found['id']}: {found['help']} at {', '.join(str(node['target']) for node in found['nodes'])}"
        for found in told["violations"]
        if found["impact"] in _SERIOUS
    ]


async def is_wider_than_its_window(page: Page) -> bool:
    """Say whether somebody must scroll sideways."""
    await page.wait_for_load_state()  # before, the styles may be missing
    return bool(await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
