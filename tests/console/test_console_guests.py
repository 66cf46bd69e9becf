"""A crowd takes its own places away, and nobody else's; and it costs the readings nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from edge_agent.console.guests import Guest, Guests, Pace
from tests.console.browser import Browser
from tests.console.moment import Now
from tests.console.rig import PASSWORD, console, runs

CROWD = 500


@asynccontextmanager
async def entering() -> AsyncIterator[tuple[Guests, list[Guest]]]:
    """Yield all guests, and those who came."""
    came = list[Guest]()
    yield Guests(), came
    for one in came:
        if one.beginning is not None:
            one.beginning.cancel()
    await asyncio.sleep(0)


def enter(all_: Guests, came: list[Guest], machine: str, user: str = "") -> Guest:
    guest = all_.enter(machine)
    guest.user = user
    guest.beginning = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]
    came.append(guest)
    return guest


async def dropped(came: list[Guest]) -> list[Guest]:
    await asyncio.sleep(0)
    return [one for one in came if not one.here]


async def test_a_machine_has_its_places_and_the_first_goes() -> None:
    async with entering() as (all_, came):
        operator = enter(all_, came, "10.0.0.1", "wang")
        for _ in range(19):
            enter(all_, came, "10.0.0.1")
        other = enter(all_, came, "10.0.0.2")
        assert await dropped(came) == came[1:4]
        assert operator.here
        assert other.here


async def test_of_forty_the_largest_crowd_gives_way_and_who_is_logged_in_stays() -> None:
    async with entering() as (all_, came):
        users = [enter(all_, came, "10.0.0.1", "wang") for _ in range(20)]
        small = enter(all_, came, "10.0.1.1")
        crowd = [enter(all_, came, f"10.0.{2 + number % 3}.1") for number in range(19)]
        assert await dropped(came) == []
        enter(all_, came, "10.0.9.1")
        assert await dropped(came) == [crowd[0]]
        for _ in range(200):
            enter(all_, came, "10.0.9.2")
        assert small.here
        assert all(one.here for one in users)


async def test_where_all_are_logged_in_one_of_who_has_most_goes() -> None:
    async with entering() as (all_, came):
        one = [enter(all_, came, "10.0.0.1", "li") for _ in range(3)]
        many = [enter(all_, came, "10.0.0.1", "wang") for _ in range(37)]
        enter(all_, came, "10.0.0.1")
        assert await dropped(came) == [many[0]]
        assert all(each.here for each in one)


def test_after_a_crowd_that_hung_up_nobody_waits_for_its_requests() -> None:
    now = Now()
    pace = Pace(now, 40, 0.05)
    assert max(pace.wait() for _ in range(10_000)) < 2.1
    now.at += 2.0
    assert pace.wait() < 0.1


async def test_places_of_those_who_went_are_free() -> None:
    async with entering() as (all_, came):
        for _ in range(16):
            guest = enter(all_, came, "10.0.0.1")
        assert guest.beginning is not None
        guest.beginning.cancel()
        assert await dropped(came) == [guest]
        enter(all_, came, "10.0.0.1")
        assert await dropped(came) == [guest], "and nobody else"


def test_a_pace_is_kept_however_many_come() -> None:
    now = Now()
    pace = Pace(now, 10, 0.5)
    assert [pace.wait() for _ in range(12)] == [0.0] * 10 + [0.5, 1.0]
    now.at += 2.0
    assert [pace.wait() for _ in range(4)] == [0.0, 0.0, 0.5, 1.0]
    now.at += 1000.0
    assert [pace.wait() for _ in range(11)] == [0.0] * 10 + [0.5]


async def test_a_flood_costs_the_readings_nothing_and_locks_nobody_out(tmp_path: Path) -> None:
    """Five hundred connections: some say nothing, some half a request, some ask again and again."""
    async with console(tmp_path) as browser:
        await browser.log_in(PASSWORD)
        await runs(browser, "air")
        port = int(browser.base.rpartition(":")[2])
        said = (b"", b"GET / HTTP/1.1\r\nX: ", b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
        begun = (await air(browser))["seq"]
        crowd = [asyncio.create_task(_press(port, said[number % len(said)])) for number in range(CROWD)]
        try:
            async with asyncio.timeout(60):
                while (await air(browser))["seq"] < begun + 5:  # noqa: ASYNC110 - nothing else tells
                    await asyncio.sleep(0.1)
            assert not all(one.done() for one in crowd), "they are still there"
        finally:
            for one in crowd:
                one.cancel()
            await asyncio.wait(crowd)
        assert (await air(browser))["availability"] == "online"


async def air(browser: Browser) -> dict[str, Any]:
    """What the status says of the sensor; asked again where a crowd took the place of this connection."""
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError):
                (found,) = (await browser.get("/api/status")).json["devices"]
                return dict(found)
            await asyncio.sleep(0.05)


async def _press(port: int, said: bytes) -> None:
    """Come, say something, stay until one is dropped, and come again."""
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(said)
                while await reader.read(65_536):
                    pass
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
        await asyncio.sleep(0.2)
