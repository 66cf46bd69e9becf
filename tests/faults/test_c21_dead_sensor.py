"""C21: a dead sensor looks dead, and no value of it is stamped again."""

import pytest

from edge_agent.collect.device import Device
from edge_agent.driver import Channel, NoAnswer, Quantity, Sample
from edge_agent.processing.plan import plan_for
from edge_agent.reading import Reading
from edge_agent.settings.device import Device as Settings
from tests.faults.rig import Record

pytestmark = pytest.mark.xdist_group("faults-c21")


class _Clock:
    boot_id = "boot"

    def __init__(self) -> None:
        self.now = 5_000_000

    def mono_ms(self) -> int:
        return self.now

    def wall_ms(self) -> int:
        return self.now

    def trusted(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("expect_s", "late_s", "offline_s"),
    [(1.0, 60, 300), (10.0, 60, 300), (60.0, 180, 600), (600.0, 1800, 6000)],
)
def test_a_dead_sensor_looks_dead(expect_s: float, late_s: int, offline_s: int, record: Record) -> None:
    channels = (Channel("temperature", Quantity.TEMPERATURE),)
    settings = Settings(driver="modbus", bus="a")
    clock, kept, told = _Clock(), list[Reading](), list[tuple[int, str]]()
    device = Device("d1", channels, plan_for(settings, channels, False), clock, kept.append)
    device.expect_s = expect_s
    device.on_availability = lambda _: told.append((clock.now, device.availability))
    born = clock.now
    device.heard([Sample("temperature", 21.5)])
    looked = 0
    while clock.now < born + 2 * offline_s * 1000:
        wait = device.look()
        looked += 1
        assert wait > 0
        clock.now += max(1000, int(wait * 1000))
        device.fault(NoAnswer("no answer"))
    assert told == [(born, "online"), (born + late_s * 1000, "late"), (born + offline_s * 1000, "offline")]
    assert len(kept) == 1, "a value was stamped again"
    assert device.heard_s == pytest.approx((clock.now - born) / 1000)
    assert looked < 10
    clock.now += 5
    device.heard([Sample("temperature", 22.5)])
    assert told[-1] == (clock.now, "online")
    record("C21", f"dead, expected each {expect_s:g} s", late_s=late_s, offline_s=offline_s, looks=looked)
