"""What a form needs to show what would become of the last values, before anything is saved."""

import tomllib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic import ValidationError

from edge_agent.driver import Channel
from edge_agent.profile import profile_text
from edge_agent.registry import UnknownDriverError
from edge_agent.settings.device import Device
from edge_agent.settings.resolve import channels, opened
from edge_agent.status import DeviceStatus


def channels_of(table: Mapping[str, Any]) -> tuple[Channel, ...]:
    """Return what a device of the file reports; nothing where it cannot be opened."""
    try:
        return channels(*opened(Device.model_validate(table)))
    except (ValidationError, UnknownDriverError, ValueError):
        return ()


class Multiplied(NamedTuple):
    """A channel that ratios of transformers multiply: its last value, and the fields with those ratios."""

    channel: str
    value: float
    unit: str
    by: str


def multiplied(table: Mapping[str, Any], device: DeviceStatus) -> list[Multiplied]:
    """Return the channels of a device that ratios multiply, as its profile says, which have a value."""
    try:
        profile = tomllib.loads(profile_text(device.driver, table["settings"]["profile"]))
        ratios = {str(one["name"]): str(one.get("ratio", "")) for one in profile["channels"]}
    except (ValueError, KeyError, TypeError):  # it has no profile, or none that can be read
        return []
    found = []
    for channel, ratio in ratios.items():
        value = device.values.get(channel)
        if ratio and isinstance(value, int | float) and not isinstance(value, bool):
            by = " ".join(f"settings.{kind}_ratio" for kind in ratio.split("*"))
            found.append(Multiplied(channel, value, device.units.get(channel, ""), by))
    return found


def raw_of(value: object, calibrate: Mapping[str, Any]) -> float | None:
    """Return what a value was before it was calibrated; None where that cannot be told."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    if points := calibrate.get("points"):
        return _before(value, points)
    scale = calibrate.get("scale", 1)
    return (value - calibrate.get("offset", 0)) / scale if scale else None


def _before(value: float, points: list[list[float]]) -> float | None:
    """Go back along straight lines; None where two measured values may have become the same."""
    true = [point[1] for point in points]
    rising = all(left < right for left, right in pairwise(true))
    if not rising and not all(left > right for left, right in pairwise(true)):
        return None
    segments = list(pairwise(points))
    (at, told), (later, told_later) = next(
        ((left, right) for left, right in segments if (value <= right[1]) is rising), segments[-1]
    )
    return at + (value - told) * (later - at) / (told_later - told)
