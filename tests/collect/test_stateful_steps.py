"""A device with limits, counters and averages while the agent runs: what it keeps, tells and remembers."""

from typing import Any

import pytest

from edge_agent.collect.device import Device
from edge_agent.driver import Channel, NoAnswer, Quantity, Sample
from edge_agent.event import Event
from edge_agent.processing.plan import plan_for
from edge_agent.reading import Quality, Reading
from edge_agent.settings.device import Device as Settings
from tests.collect.test_device import FakeClock

CHANNELS = (
    Channel("power", Quantity.POWER),
    Channel("energy_import", Quantity.ENERGY_IMPORT),
    Channel("contact", Quantity.CONTACT),
)
LIMIT = {"above": 20_000, "hysteresis": 500, "delay": "30s"}


class Meter:
    """A device, and what came of it. ``body`` is what it wants to have remembered."""

    def __init__(self, clock: FakeClock, body: bytes = b"", **told: Any) -> None:
        self.clock, self.body = clock, body
        self.kept: list[Reading] = []
        self.at_once: list[Reading] = []
        self.events: list[Event] = []
        self.stood: list[Event] = []
        self.remembered = 0
        settings = Settings.model_validate({"driver": "d", "bus": "b", **told})
        plan = plan_for(settings, CHANNELS, False)
        self.device = Device("meter-7", CHANNELS, plan, clock, self.kept.append)
        self.device.outputs.keep_now = self.at_once.append
        self.device.outputs.tell, self.device.outputs.stands = self.events.append, self.stood.append
        self.device.outputs.remember = self._remember
        self.device.recall(body)

    def _remember(self, body: bytes) -> None:
        self.body, self.remembered = body, self.remembered + 1

    def says(self, **values: float | bool) -> None:
        self.device.heard([Sample(name, value) for name, value in values.items()])

    def after(self, seconds: float, **values: float | bool) -> None:
        self.clock.mono += round(seconds * 1000)
        self.says(**values)

    @property
    def told(self) -> list[tuple[str, str, float | None]]:
        return [(event.kind, event.alarm, event.value) for event in self.events]


def limited(clock: FakeClock | None = None, body: bytes = b"", **told: Any) -> Meter:
    return Meter(clock or FakeClock(), body, channel={"power": {"alarm": {"overload": LIMIT}}}, **told)


def test_an_alarm_is_told_once_and_its_reading_is_written_at_once(caplog: pytest.LogCaptureFixture) -> None:
    meter = limited()
    meter.says(power=20_640)
    meter.after(30, power=20_640)
    meter.after(10, power=20_640)
    meter.after(10, power=19_000)
    assert meter.events == [
        Event(
            "alarm", "meter-7", 7_030_000, "power 20640 W is above 20000 W for 30 s", "power",
            "overload", 20_640,
        ),
        Event(
            "alarm_cleared", "meter-7", 7_050_000, "power 19000 W is not above 20000 W any more", "power",
            "overload", 19_000,
        ),
    ]  # fmt: skip
    assert [reading.mono_ms for reading in meter.at_once] == [7_030_000, 7_050_000]
    assert [reading.mono_ms for reading in meter.kept] == [7_000_000, 7_040_000]
    assert "meter-7 alarm overload raised: power 20640 W is above 20000 W for 30 s" in caplog.messages
    assert meter.remembered == 2, "only what changed is written"


def test_the_reading_of_an_alarm_is_passed_on_whatever_report_says() -> None:
    meter = limited(report={"change": 10_000})
    meter.says(power=20_100)
    meter.after(30, power=20_640)
    assert [reading.values["power"] for reading in meter.at_once] == [20_640]
    assert [reading.values["power"] for reading in meter.kept] == [20_100]


def test_a_restart_raises_nothing_twice_and_clears_what_ended_meanwhile() -> None:
    first = limited()
    first.says(power=20_640)
    first.after(30, power=20_640)
    second = limited(body=first.body)
    second.says(power=20_640)
    second.after(60, power=20_640)
    assert second.events == []
    third = limited(body=second.body)
    third.says(power=300)
    assert third.told == [("alarm_cleared", "overload", 300)]
    fourth = limited(body=third.body)
    fourth.says(power=300)
    assert fourth.events == []


@pytest.mark.parametrize("told", [{"channel": {"power": {"alarm": {"other": {"above": 1}}}}}, {}])
def test_an_alarm_whose_limit_is_gone_is_cleared_at_the_start(told: dict[str, Any]) -> None:
    first = limited()
    first.says(power=20_640)
    first.after(30, power=20_640)
    second = Meter(FakeClock(), first.body, **told)
    assert second.told == [("alarm_cleared", "overload", None)]
    assert Meter(FakeClock(), second.body, **told).events == []


def test_a_silent_device_neither_raises_nor_clears() -> None:
    meter = limited()
    meter.says(power=20_640)
    meter.clock.mono += 400_000
    meter.device.look()
    assert meter.device.availability == "offline"
    assert meter.events == []
    meter.says(power=20_640)
    assert meter.events == [], "nobody knows whether it was beyond the limit meanwhile"
    meter.after(30, power=20_640)
    meter.clock.mono += 400_000
    meter.device.look()
    assert meter.told == [("alarm", "overload", 20_640)]


def test_a_broadcaster_that_repeats_itself_raises_when_the_delay_is_over() -> None:
    meter = Meter(FakeClock(), channel={"contact": {"alarm": {"open": {"equals": True, "delay": "5m"}}}})
    meter.says(contact=True)
    for _ in range(6):
        meter.clock.mono += 50_000
        meter.device.present()
    assert meter.told == [("alarm", "open", None)]


def test_a_counter_goes_on_over_a_restart_and_its_notes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    counted = {"energy_import": {"counter": {"rollover": 1000}, "calibrate": {"scale": 2}}}
    first = Meter(FakeClock(), channel=counted)
    first.says(energy_import=999)
    first.after(30, energy_import=1)
    first.after(60, energy_import=2)
    assert [reading.values.get("energy_import") for reading in first.kept] == [1998, None, 2004]
    assert first.kept[1].quality == {"energy_import": Quality("bad", "counter_fell")}  # type: ignore[arg-type]
    assert "meter-7: energy_import fell from 999 to 1: it rolled over, and 1000 is added" in caplog.messages
    second = Meter(FakeClock(), first.body, channel=counted)
    second.says(energy_import=3)
    assert second.kept[0].values == {"energy_import": 2006}
    before = second.body
    answer = second.device.interpret([Sample("energy_import", 4)])
    assert answer is not None
    assert answer.values == {"energy_import": 2008}
    assert second.body is before, "what is asked for out of turn changes nothing"


def test_a_window_of_an_average_ends_with_the_next_frame_or_when_the_device_is_silent() -> None:
    meter = Meter(FakeClock(), average="1m")  # the clock begins 40 s into a window
    for second in (0, 5, 10, 10, 10, 10, 10, 10, 10):
        meter.after(second, power=second)
    assert [(reading.mono_ms, dict(reading.values)) for reading in meter.kept] == [
        (7_020_000, {"power": 5, "power_min": 0, "power_max": 10})
    ]
    assert meter.device.values == {"power": 10}, "people see what was heard last"
    meter.clock.mono += 60_000
    meter.device.look()
    assert meter.device.availability == "late"
    assert [reading.mono_ms for reading in meter.kept] == [7_020_000, 7_080_000]


def test_a_long_window_is_looked_at_when_it_is_over_though_the_device_is_silent() -> None:
    meter = Meter(FakeClock(), average="1h")
    meter.says(power=1)
    meter.clock.mono += 300_000
    end = 7_200_000
    assert meter.device.look() == pytest.approx(60)
    meter.clock.mono = end
    meter.device.look()
    (made,) = meter.kept
    assert (made.mono_ms, made.quality["power"].reason) == (end, "partial")
    meter.clock.mono += 600_000
    meter.device.look()
    assert len(meter.kept) == 1


def test_a_stop_ends_the_window() -> None:
    meter = Meter(FakeClock(), average="1m")
    meter.says(power=1)
    meter.clock.mono += 1000
    meter.device.close()
    (made,) = meter.kept
    assert (made.mono_ms, made.quality["power"].reason) == (7_001_000, "partial")


def test_an_alarm_of_an_averaged_device_is_judged_on_each_value() -> None:
    meter = Meter(FakeClock(), average="1m", channel={"power": {"alarm": {"x": {"above": 10}}}})
    meter.says(power=1)
    meter.after(10, power=11)
    meter.after(5, power=1)
    assert meter.told == [("alarm", "x", 11), ("alarm_cleared", "x", 1)]
    assert (meter.kept, meter.at_once) == ([], [])


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (lambda device: device.present(), "nothing heard for 5 min"),
        (lambda device: device.fault(NoAnswer("no answer on rs485-1")), "no answer for 5 min"),
        (lambda device: device.bus_gone("/dev/ttyUSB0 is not there"), "/dev/ttyUSB0 is not there"),
    ],
)
def test_a_device_that_is_offline_says_why(trouble: Any, reason: str) -> None:
    meter = Meter(FakeClock())
    assert meter.device.reason == "nothing was heard yet"
    meter.says(power=1)
    assert meter.device.reason == ""
    trouble(meter.device)
    meter.clock.mono += 300_000
    meter.device.look()
    assert (meter.device.availability, meter.device.reason) == ("offline", reason)


def test_after_a_restart_it_is_said_how_alarms_stand() -> None:
    meter = limited()
    assert not meter.stood, "nothing is remembered"
    for power, kind in ((20_640, "alarm"), (0, "alarm_cleared")):
        meter.says(power=power)
        meter.after(30, power=power)
        meter = limited(meter.clock, meter.body)
        assert [(event.kind, event.about) for event in meter.stood] == [(kind, "meter-7/power.overload")]
        assert not meter.events
