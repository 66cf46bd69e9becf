"""What a device read in the past, for a plot: newest first, within a time, with its peaks and its gaps."""

import errno
from pathlib import Path

import pytest

from edge_agent.outbox.past import past
from edge_agent.outbox.readonly import open_read_only
from edge_agent.outbox.store import OutboxError
from edge_agent.reading import Grade, Quality, Reading
from tests.outbox.world import NOW_MS, FakeClock, opened, reading

HOUR = 3_600_000


async def test_all_of_a_device_is_there_and_nothing_of_another(tmp_path: Path) -> None:
    clock, file = FakeClock(), tmp_path / "outbox.db"
    async with opened(file, clock) as outbox:
        for number in range(5_000):
            clock.wait(1_000)
            outbox.keep(reading("d1" if number % 2 else "d2", number, clock.mono))
            if number % 500 == 0:
                await outbox.flush()
        await outbox.flush()
        found = past(file, "d1", clock.wall, HOUR, 100, 30)
    assert found.complete
    spans = found.spans["temperature"]
    assert len(spans) == 100
    assert (spans[0].low, spans[-1].value) == (1_399, 4_999)
    assert all(span.low % 2 == 1 and span.high % 2 == 1 for span in spans)
    assert [span.first for span in spans] == sorted(span.first for span in spans)


async def test_what_is_in_doubt_says_so_and_texts_are_left_out(tmp_path: Path) -> None:
    clock, file = FakeClock(), tmp_path / "outbox.db"
    async with opened(file, clock) as outbox:
        outbox.keep(
            Reading(
                "d1",
                clock.mono,
                {"temperature": 1.5, "humidity": "wet"},
                {"temperature": Quality(Grade.SUSPECT, "implausible")},
            )
        )
        await outbox.flush()
        found = past(file, "d1", None, HOUR, 10, 30)
    assert found.to_ms == NOW_MS, "where the clock is not known the newest reading ends the plot"
    assert set(found.spans) == {"temperature"}
    assert found.spans["temperature"][0].doubt


async def test_it_ends_in_time(tmp_path: Path) -> None:
    clock, file = FakeClock(), tmp_path / "outbox.db"
    async with opened(file, clock) as outbox:
        outbox.keep(reading("d1", 1, clock.mono))
        await outbox.flush()
        with open_read_only(file) as look, pytest.raises(TimeoutError):
            list(look.newest("d1", 0, -1.0))
        found = past(file, "d1", clock.wall, HOUR, 10, -1.0)
    assert not found.complete


def test_a_card_that_dies_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks at the page would end the agent otherwise."""

    def dying(_path: Path) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "is_file", dying)
    with pytest.raises(OutboxError, match=r"cannot be read .*Input/output error.*; check the disk"):
        past(tmp_path / "outbox.db", "d1", NOW_MS, HOUR, 100, 30)
