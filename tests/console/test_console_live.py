"""What the browsers are told is made once for all who look, and only what differs is made anew."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from edge_agent.console import live as room
from edge_agent.console.live import Live, View
from edge_agent.console.page import Pages
from edge_agent.status import DeviceStatus, Status, as_json

ENGLISH, CHINESE = View("en", ""), View("zh_CN", "")


def device(id_: str) -> DeviceStatus:
    return DeviceStatus(
        id=id_, name=id_, driver="modbus", availability="online", heard_s=1.0, seq=1, values={"power": 5.0},
        quality={}, units={"power": "W"}, faults={}, problem="",
    )  # fmt: skip


STATUS = Status(
    site="east-park", gateway="gw-01", epoch="0badcafe", uptime_s=1.0, kept=2, waiting=0, lost=0,
    clock="synchronised", disk_free_mb=100, rss_mb=50, problem="", devices=(device("a"), device("b")),
    uplinks=(),
)  # fmt: skip


class Park:
    """Answers for the agent."""

    def __init__(self) -> None:
        self.now = STATUS

    async def ask(self, verb: str, *_: Any) -> Mapping[str, Any]:
        return {"status": as_json(self.now), "hour": {"devices": {}, "filling": False}}[verb]

    def says(self, id_: str, **new: Any) -> None:
        devices = (replace(one, **new) if one.id == id_ else one for one in self.now.devices)
        self.now = replace(self.now, devices=tuple(devices))


@pytest.fixture
def park() -> Park:
    return Park()


@pytest.fixture
def live(park: Park, monkeypatch: pytest.MonkeyPatch) -> Live:
    monkeypatch.setattr(room, "_EVERY_S", 0.0)
    made = Live(park.ask, Pages())
    made.lookers.update((ENGLISH, ENGLISH, CHINESE))
    return made


async def test_only_what_differs_is_made_anew(live: Live, park: Park) -> None:
    before = await live.parts(ENGLISH, anew=True)
    assert before.keys() > {"device-a", "device-b", "summary", "ways"}
    park.says("a", seq=2, values={"power": 7.0})
    after = await live.parts(ENGLISH, anew=False)
    assert "7 W" in after["device-a"].text
    assert after["device-b"] is before["device-b"]
    again = await live.parts(ENGLISH, anew=False)
    assert again["device-a"] is after["device-a"]


async def test_each_language_has_its_own(live: Live) -> None:
    english, chinese = await live.parts(ENGLISH, anew=True), await live.parts(CHINESE, anew=True)
    assert "online" in english["device-a"].text
    assert "在线" in chinese["device-a"].text


async def test_who_comes_later_sees_ages_of_now_and_the_others_are_told_nothing(
    live: Live, park: Park
) -> None:
    first = await live.parts(ENGLISH, anew=True)
    park.says("a", heard_s=50.0)
    second = await live.parts(ENGLISH, anew=True)
    assert 'data-age=\\"50.0\\"' in second["device-a"].text
    assert {id_ for id_, part in second.items() if part.mark != first[id_].mark} == set()


async def test_when_the_last_has_gone_nothing_is_kept(live: Live) -> None:
    parts = await live.parts(CHINESE, anew=True)
    live.gone(CHINESE)
    assert CHINESE not in live.lookers
    assert (await live.parts(CHINESE, anew=False))["device-a"] is not parts["device-a"]
    live.gone(ENGLISH)
    assert live.lookers[ENGLISH] == 1
