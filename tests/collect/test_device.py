"""A device while the agent runs: what becomes of its samples, and whether it is alive."""

import math
from dataclasses import dataclass

import pytest

from edge_agent.collect.device import Device
from edge_agent.driver import Channel, Garbled, Implausible, NoAnswer, NotMine, Quantity, Sample
from edge_agent.processing.plan import OnChange, Plan
from edge_agent.reading import Grade, Quality, Reading
from edge_agent.status import Availability

CHANNELS = (Channel("temperature", Quantity.TEMPERATURE), Channel("humidity", Quantity.HUMIDITY))
BOUNDS = {"temperature": (-40.0, 85.0), "humidity": (0.0, 100.0)}
ALL = Plan(BOUNDS, {}, None)
UNKNOWN = Quality(Grade.BAD, "unknown")


@dataclass
class FakeClock:
    """Stands still until a test moves it."""

    boot_id: str = "boot-1"
    mono: int = 7_000_000
    wall: int = 0

    def mono_ms(self) -> int:
        return self.mono

    def wall_ms(self) -> int:
        return self.wall

    def trusted(self) -> bool:
        return True


class Kept:
    """A device, and what came of it."""

    def __init__(self, plan: Plan = ALL, expect_s: float = 10.0) -> None:
        self.clock = FakeClock()
        self.readings: list[Reading] = []
        self.changes: list[Availability] = []
        self.device = Device("soil-3", CHANNELS, plan, self.clock, self.readings.append)
        self.device.expect_s = expect_s
        self.device.on_availability = lambda _: self.changes.append(self.device.availability)

    def says(self, **values: float | None) -> None:
        self.device.heard([Sample(name, value) for name, value in values.items()])


def test_samples_become_one_reading_at_the_time_they_were_heard() -> None:
    kept = Kept()
    kept.clock.mono += 123
    kept.says(temperature=21.5, humidity=50)
    assert kept.readings == [Reading("soil-3", 7_000_123, {"temperature": 21.5, "humidity": 50})]
    assert kept.device.values == {"temperature": 21.5, "humidity": 50}


def test_what_the_device_does_not_know_is_bad_and_never_a_number() -> None:
    kept = Kept()
    kept.says(temperature=21.5, humidity=None)
    (reading,) = kept.readings
    assert dict(reading.values) == {"temperature": 21.5}
    assert dict(reading.quality) == {"humidity": UNKNOWN}
    assert kept.device.quality == {"humidity": UNKNOWN}
    kept.says(temperature=21.5, humidity=51)
    assert kept.device.quality == {}
    assert kept.device.values["humidity"] == 51


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_bad(value: float) -> None:
    kept = Kept()
    kept.says(temperature=value, humidity=50)
    (reading,) = kept.readings
    assert dict(reading.values) == {"humidity": 50}
    assert reading.quality["temperature"].grade is Grade.BAD
    assert kept.device.quality["temperature"].grade is Grade.BAD


def test_a_channel_that_was_not_reported_is_not_in_the_reading() -> None:
    kept = Kept()
    kept.says(temperature=21.5)
    assert dict(kept.readings[0].values) == {"temperature": 21.5}
    assert dict(kept.readings[0].quality) == {}


def test_a_frame_counts_as_heard_even_if_nothing_of_it_is_kept() -> None:
    kept = Kept(Plan(BOUNDS, {}, OnChange(frozenset(), {}, math.inf)))
    kept.says(temperature=21.5)
    kept.clock.mono += 400_000
    kept.says(temperature=21.5)
    assert len(kept.readings) == 1
    kept.device.look()
    assert kept.device.availability == "online"
    assert kept.device.heard_s == 0.0


def test_a_device_is_late_until_it_is_heard() -> None:
    kept = Kept()
    assert (kept.device.availability, kept.device.heard_s) == ("late", None)
    kept.says(temperature=1)
    assert (kept.device.availability, kept.device.since_ms) == ("online", 7_000_000)
    assert kept.changes == ["online"]


@pytest.mark.parametrize(
    ("expect_s", "late_s", "offline_s"), [(1, 60, 300), (10, 60, 300), (60, 180, 600), (3600, 10_800, 36_000)]
)
def test_a_silent_device_goes_late_and_then_offline(expect_s: float, late_s: int, offline_s: int) -> None:
    kept = Kept(expect_s=expect_s)
    kept.says(temperature=1)
    for after_s, availability, look_in in (
        (late_s - 1, "online", 1),
        (late_s, "late", offline_s - late_s),
        (offline_s - 1, "late", 1),
        (offline_s, "offline", late_s),
        (offline_s + 10**6, "offline", late_s),
    ):
        kept.clock.mono = 7_000_000 + 1000 * after_s
        assert kept.device.look() == look_in
        assert kept.device.availability == availability
    assert kept.changes == ["online", "late", "offline"]
    kept.says(temperature=1)
    assert kept.changes == ["online", "late", "offline", "online"]


def test_a_device_that_never_spoke_goes_offline() -> None:
    kept = Kept()
    kept.clock.mono += 300_000
    kept.device.look()
    assert kept.device.availability == "offline"


def test_steps_of_the_wall_clock_are_not_noticed() -> None:
    kept = Kept()
    kept.says(temperature=1)
    for step in (1_766_016_000_000, -3_600_000):
        kept.clock.wall += step
        kept.device.look()
        assert kept.device.availability == "online"


def test_faults_are_counted_by_kind_and_the_last_one_is_shown() -> None:
    kept = Kept()
    for fault in (
        Garbled("checksum"),
        Garbled("length"),
        NoAnswer("no answer"),
        Implausible("a year of 2077"),
    ):
        kept.device.fault(fault)
    assert kept.device.faults == {"Garbled": 2, "NoAnswer": 1, "Implausible": 1}
    assert kept.device.problem == "Implausible: a year of 2077"
    kept.says(temperature=1)
    assert kept.device.problem == ""
    assert kept.device.faults.total() == 4


def test_somebody_elses_frame_leaves_no_trace() -> None:
    kept = Kept()
    kept.device.fault(NotMine("for unit 9"))
    assert (kept.device.faults, kept.device.problem, kept.changes) == ({}, "", [])


def test_a_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    kept = Kept()
    for _ in range(3):
        kept.says(temperature=1)
    kept.device.fault(NoAnswer("no answer on rs485-1"))
    kept.clock.mono += 60_000
    for _ in range(3):
        kept.device.fault(NoAnswer("no answer on rs485-1"))
        kept.device.look()
    assert caplog.messages == [
        "soil-3 online",
        "soil-3 late: nothing heard for 60 s; NoAnswer: no answer on rs485-1",
    ]
