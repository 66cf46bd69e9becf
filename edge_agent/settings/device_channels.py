"""A device's channels and what the file says of them: what must fit, and which channels an average adds."""

from collections.abc import Iterable, Iterator

from edge_agent.contract.messages import RESERVED_CHANNELS
from edge_agent.driver import Channel, Quantity
from edge_agent.settings.channel import Alarm
from edge_agent.settings.channel import Channel as Told
from edge_agent.settings.device import Device
from edge_agent.settings.validation_errors import Finding, KeyPath, near

EXTREMES = (("min", "lowest"), ("max", "highest"))
"""What an average adds: the suffix of the channel's name, and what it is called."""

_HELD = (Quantity.OCCUPANCY, Quantity.MOTION, Quantity.CONTACT)
_COUNTED = (Quantity.COUNT, Quantity.VOLUME, Quantity.PRECIPITATION)  # gauges that may be a meter's count


def averaged(device: Device, channels: Iterable[Channel]) -> tuple[Channel, ...]:
    """Return the channels of which a reading has the mean: gauges, of a device with an average."""
    if device.average is None:
        return ()
    return tuple(
        channel
        for channel in channels
        if channel.quantity.kind == "gauge" and not is_counted(device, channel.name)
    )


def is_counted(device: Device, channel: str) -> bool:
    """Say whether the file has a channel followed as a counter."""
    return channel in device.channel and device.channel[channel].counter is not None


def kept_channels(device: Device, channels: Iterable[Channel]) -> tuple[Channel, ...]:
    """Return all channels that the readings of a device may have: its own, and what an average adds."""
    own = tuple(channels)
    added = [
        Channel(
            f"{channel.name}_{suffix}",
            channel.quantity,
            f"{_name(device, channel)}, {called}",
            optional=channel.optional,
        )
        for channel in averaged(device, own)
        for suffix, called in EXTREMES
    ]
    return (*own, *added)


def _name(device: Device, channel: Channel) -> str:
    configured = device.channel.get(channel.name)
    return (configured.name if configured else "") or channel.label or channel.name


def check_channels(name: str, device: Device, channels: Iterable[Channel]) -> Iterator[Finding]:
    """Find what the file says of channels that are not there, or are of another kind."""
    own = tuple(channels)
    known = {channel.name: channel for channel in own}
    for channel in sorted(RESERVED_CHANNELS.intersection(known)):
        wrong = f"has a channel {channel!r}, a name that is reserved in MQTT"
        yield Finding(
            ("device", name, "driver"), wrong, "give the channel another name in its driver or profile"
        )
    for channel, told in device.channel.items():
        place = ("device", name, "channel", channel)
        if channel not in known:
            yield Finding(place, "is no channel of this device", near(channel, known, "it has"))
        else:
            yield from _steps(place, told, known[channel].quantity)
    if device.average is not None:
        yield from _average(name, device, own)


def meaningless(quantity: Quantity) -> frozenset[str]:
    """Return the keys of a channel's table that are for other quantities."""
    state = quantity.kind == "state"
    return frozenset(
        {
            *(("calibrate", "plausible", "report.change", "report.percent") if state else ()),
            *(("hold",) if quantity not in _HELD else ()),
            *(("counter",) if quantity.kind != "counter" and quantity not in _COUNTED else ()),
        }
    )


def _steps(place: KeyPath, told: Told, quantity: Quantity) -> Iterator[Finding]:
    foreign = meaningless(quantity)
    if told.calibrate is not None and "calibrate" in foreign:
        yield Finding((*place, "calibrate"), "is for measured numbers, and this is a state", "remove it")
    if told.hold is not None and "hold" in foreign:
        wrong = f"is for {', '.join(_HELD)}, and this is a {quantity}"
        yield Finding((*place, "hold"), wrong, "remove it")
    if told.counter is not None and "counter" in foreign:
        wrong = f"is for energies, {', '.join(_COUNTED)}, and this is a {quantity}"
        yield Finding((*place, "counter"), wrong, "remove it")
    for alarm, limit in told.alarm.items():
        yield from _alarm((*place, "alarm", alarm), limit, quantity)


def _alarm(place: KeyPath, limit: Alarm, quantity: Quantity) -> Iterator[Finding]:
    if limit.equals is None and quantity.kind == "state":
        wrong = f"is a limit for numbers, and {quantity} is a state"
        yield Finding(place, wrong, "write equals = true, or the state that is meant")
    elif limit.equals is not None and quantity.kind != "state":
        yield Finding((*place, "equals"), f"is for states, and this is a {quantity}", "write above or below")


def _average(name: str, device: Device, own: tuple[Channel, ...]) -> Iterator[Finding]:
    place = ("device", name, "average")
    means = averaged(device, own)
    if not means:
        wrong = "has nothing to work on: this device has only states and counters, which cannot be averaged"
        yield Finding(place, wrong, "remove it")
    taken = {channel.name for channel in own}
    for channel in means:
        for suffix, _ in EXTREMES:
            if (added := f"{channel.name}_{suffix}") in taken:
                wrong = f"adds a channel {added!r}, and this device has one of that name"
                yield Finding(place, wrong, "remove it, or give the channel another name in its profile")
