"""What the park's sensors broadcast is what the drivers understand, to the last digit that is sent."""

from typing import cast

import pytest

from edge_agent.demo import on_air
from edge_agent.driver import Advertisement, Beacon
from edge_agent.registry import load

KEY = bytes(range(16))


@pytest.mark.parametrize("sensor", on_air.sensors(KEY), ids=lambda sensor: str(sensor.id))
@pytest.mark.parametrize("t", [0.0, 1_000_000.0, 1_795_300_000.0])
def test_a_sensor_is_understood(sensor: on_air.Sensor, t: float) -> None:
    driver = load(sensor.driver)
    key = {"bindkey": KEY.hex()} if "bindkey" in sensor.settings else {}
    settings = driver.settings.model_validate({"address": sensor.address, **key})
    device = cast("Beacon", driver.open(settings))
    for number in (0, 255, 256, 65_535, 70_000):
        services, makers = sensor.says(number, t + number)
        told = dict(device.decode(Advertisement(sensor.address, "", -60, services, makers)))
        if sensor.id == "motion-1":
            assert isinstance(told["motion"], bool)
            continue
        assert isinstance(told["temperature"], float)
        assert 3 < told["temperature"] < 30
        assert isinstance(told["humidity"], float)
        assert 40 < told["humidity"] < 95


def test_somebody_comes_and_goes() -> None:
    motion = next(sensor for sensor in on_air.sensors(None) if sensor.id == "motion-1")
    said = {next(iter(motion.says(0, t)[0].values()))[-1] for t in range(60)}
    assert said == {0, 1}
