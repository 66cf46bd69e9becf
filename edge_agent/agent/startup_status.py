"""What a snapshot says of the devices and uplinks that are configured, while the agent still starts."""

from collections.abc import Iterator

from edge_agent.outbox.outbox import Outbox
from edge_agent.settings.model import Config
from edge_agent.status import DeviceStatus, UplinkStatus


def devices(config: Config, outbox: Outbox | None, since_s: float) -> Iterator[DeviceStatus]:
    """Yield how each device does, with what an outbox that is open knows of it."""
    for id_, settings in config.device.items():
        yield DeviceStatus(
            id=id_,
            name=settings.name or id_,
            driver=settings.driver,
            availability="late",
            heard_s=None,
            seq=_last_seq(outbox, id_) if outbox else 0,
            values={},
            quality={},
            units={},
            faults={},
            problem="",
            reason="nothing was heard yet",
            bus=settings.bus,
            place=settings.place,
            since_s=since_s,
        )


def uplinks(config: Config, outbox: Outbox | None) -> Iterator[UplinkStatus]:
    """Yield how each uplink does, with what an outbox that is open knows of it."""
    for name, settings in config.uplink.items():
        delivery = outbox.deliveries[name] if outbox else None
        yield UplinkStatus(
            name=name,
            connected=False,
            server=str(settings.servers[0]),
            protocol="",
            acknowledged=delivery.acknowledged if delivery else 0,
            backlog=delivery.backlog if delivery else 0,
            in_flight=0,
            problem="not connected yet",
        )


def _last_seq(outbox: Outbox, device: str) -> int:
    """Return the number of the last reading of a device in this epoch, which is not introduced yet."""
    known = (one for one in outbox.streams.values() if (one.device, one.epoch) == (device, outbox.epoch))
    return max((stream.next_seq - 1 for stream in known), default=0)
