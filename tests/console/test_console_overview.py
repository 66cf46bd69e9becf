"""The overview in other orders, and with those alone that somebody looks for: without a script, too."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.control.protocol import RefusedError
from edge_agent.status import DeviceStatus, as_json
from tests.console.browser import Browser, Page
from tests.console.rig import PASSWORD
from tests.console.served import NEW, serving

HEARD = DeviceStatus("a", "a", "modbus", "online", 1.0, 7, {}, {}, {}, {}, "", bus="cabinet")
DEVICES = (
    replace(HEARD, id="m10", name="Meter 10", place="hall", heard_s=5.0),
    replace(HEARD, id="m9", name="Meter 9", place="roof", heard_s=400.0, availability="offline"),
    replace(HEARD, id="m1", name="Meter 1", place="roof", heard_s=90.0, availability="late", bus="radio"),
    replace(HEARD, id="new", name="Air", place="hall", heard_s=None, availability="late"),
)


async def answer(verb: str, _args: Mapping[str, Any], *_tell: object) -> Mapping[str, Any]:
    if verb == "status":
        return as_json(replace(NEW, devices=DEVICES))
    raise RefusedError("it is about to start")


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with serving(tmp_path, ask=answer) as served:
        made = Browser(served.base)
        await made.log_in(PASSWORD)
        yield made


def shown(page: Page) -> list[str]:
    rows = re.findall(r'<tr id="device-(\w+)"[^>]*?( hidden)?>', page.text)
    return [id_ for id_, hidden in rows if not hidden]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("", ["new", "m10", "m1", "m9"]),
        ("?sort=place", ["new", "m10", "m1", "m9"]),
        ("?sort=name", ["new", "m1", "m9", "m10"]),
        ("?sort=age", ["new", "m9", "m1", "m10"]),
        ("?sort=state", ["m9", "m1", "new", "m10"]),
        ("?find=METER&sort=name", ["m1", "m9", "m10"]),
        ("?find=roof+radio", ["m1"]),
        ("?find=nobody", []),
    ],
)
async def test_the_order_and_who_is_shown(browser: Browser, asked: str, wanted: list[str]) -> None:
    page = await browser.get(f"/{asked}")
    assert shown(page) == wanted
    assert page.text.count('<tr id="device-') == len(DEVICES), "a script shows them all"
    assert page.text.count("<details") == (1 if re.search("sort=(name|age|state)", asked) else 2)
    assert page.text.count("<details") - len(re.findall("<details[^>]* hidden>", page.text)) <= len(wanted)


async def test_what_was_asked_for_stays_in_the_form(browser: Browser) -> None:
    page = await browser.get("/?find=%22%3Croof%3E&sort=age")
    assert 'value="&#34;&lt;roof&gt;"' in page.text
    assert '<option value="age" selected>' in page.text
    assert "None is so." in page.text
    assert "<noscript><button>" in page.text
    counted = await browser.get("/?find=roof")
    assert re.search(r"<output[^>]*>2</output>", counted.text)
