"""What happened, on a page: filtered and turned over without a script, in the time of the site."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.control.happened import _told
from edge_agent.control.protocol import RefusedError
from edge_agent.status import DeviceStatus, as_json
from tests.console.browser import Browser
from tests.console.forms import said
from tests.console.rig import PASSWORD
from tests.console.served import NEW, serving

AIR = DeviceStatus("air-1", "Air <1>", "modbus", "online", 1.0, 7, {}, {}, {}, {}, "", bus="a")
TS = 1_795_366_800_000  # 2026-11-22 17:00 UTC
HAPPENED = [
    _told("online", TS, device="air-1", lasted_s=720.0),
    _told("offline", TS, device="gone-1", detail="nothing heard for 300 s", goes_on=True),
    _told("alarm", TS, device="air-1", channel="humidity", alarm="wet", value=81.5, lasted_s=60.0),
    _told("alarm_cleared", TS, device="air-1", channel="humidity", alarm="wet", lasted_s=60.0),
    _told("changed", None, detail="device air-1 changed", by="wang", outcome="refused", number=7),
    _told("lost", TS, device="air-1", detail="capacity", readings=3, from_ts=TS - 3_600_000),
    _told("restarted", TS, clock="unsynchronised", detail="version 1"),
    _told("retired", TS, device="gone-1", detail="from uplink city"),
]


class Gateway:
    """Answers for the agent, and notes what is asked."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.refuses = ""

    async def ask(self, verb: str, args: Mapping[str, Any], *_tell: object) -> Mapping[str, Any]:
        match verb:
            case "status":
                return as_json(replace(NEW, devices=(AIR,)))
            case "happened" if not self.refuses:
                self.asked.append(args)
                return {"happened": HAPPENED, "next": "5.3.", "timezone": "Asia/Shanghai"}
            case _:
                raise RefusedError(self.refuses or "the agent is about to start")


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def browser(tmp_path: Path, gateway: Gateway) -> AsyncIterator[Browser]:
    async with serving(tmp_path, ask=gateway.ask) as served:
        made = Browser(served.base)
        await made.log_in(PASSWORD)
        yield made


async def test_each_kind_is_told_in_words_and_in_the_time_of_the_site(browser: Browser) -> None:
    page = await browser.get("/happened")
    told = said(page)
    for words in (
        "2026-11-23 01:00:00 Air <1> online after 12 min",
        "gone-1 offline it goes on nothing heard for 300 s",
        "alarm for 60 s humidity wet 81.5",
        "alarm cleared after 60 s humidity wet",
        "not known configuration device air-1 changed wang, refused, and nothing changed",
        "given up 3 readings, from 2026-11-23 00:00:00 on the outbox was full",
        "in doubt the agent was started version 1",
        "Times are those of Asia/Shanghai.",
    ):
        assert words in told
    assert 'href="/device/air-1"' in page.text
    assert 'href="/device/gone-1"' not in page.text
    assert 'href="/change/history/7"' in page.text


async def test_filters_and_pages_are_links_and_a_form(browser: Browser, gateway: Gateway) -> None:
    page = await browser.get("/happened?device=air-1&kind=alarm")
    assert gateway.asked[-1] == {"device": "air-1", "kind": "alarm", "before": ""}
    assert '<option value="air-1" selected>' in page.text
    assert '<option value="alarm" selected>' in page.text
    assert "The newest" not in page.text
    assert 'href="/happened?device=air-1&amp;kind=alarm&amp;before=5.3."' in page.text
    page = await browser.get("/happened?device=gone-1&kind=&before=5.3.")
    assert gateway.asked[-1] == {"device": "gone-1", "kind": "", "before": "5.3."}
    assert "<option selected>gone-1</option>" in page.text
    assert 'href="/happened?device=gone-1"' in page.text
    for wrong in ("kind=all", "before=x", "device=A%20B", "colour=red"):
        assert (await browser.get(f"/happened?{wrong}")).status == 400


async def test_a_device_has_its_own_part(browser: Browser, gateway: Gateway) -> None:
    page = await browser.get("/device/air-1")
    assert gateway.asked == [{"device": "air-1", "most": 5}]
    assert 'href="/happened?device=air-1"' in page.text
    part = await browser.get("/device/air-1/part/happened")
    assert part.text.lstrip().startswith('<section id="happened"')


async def test_in_chinese(browser: Browser) -> None:
    page = await browser.get("/happened", **{"Accept-Language": "zh-CN"})
    assert "离线" in page.text
    assert not {"given", "taken", "Nothing", "alarm", "nothing", "version"} & set(said(page).split())


async def test_an_outbox_that_cannot_be_read_is_told_and_the_rest_of_the_page_stands(
    browser: Browser, gateway: Gateway
) -> None:
    gateway.refuses = "the outbox cannot be read; use sudo"
    for path in ("/happened", "/device/air-1"):
        page = await browser.get(path)
        assert (page.status, gateway.refuses in page.text) == (200, True)
    answer = await browser.get("/api/happened")
    assert (answer.status, answer.json["error"]) == (503, gateway.refuses)
