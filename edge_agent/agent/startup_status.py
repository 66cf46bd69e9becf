"""The state of devices and uplinks in a snapshot that is taken while the agent is still starting."""

from collections.abc import Iterator

from edge_agent.outbox.outbox import Outbox
from edge_agent.settings.model import Config
from edge_agent.status import DeviceStatus, UplinkStatus


def devices(config: Config, outbox: Outbox | None, since_s: float) -> Iterator[DeviceStatus]:
    """Yield the state of each configured device, with its last number if the outbox is open."""
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
    """Yield the state of each configured uplink, with its counts if the outbox is open."""
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
    """Return the number of a device's last reading in this epoch, before the device is enrolled again."""
    known = (one for one in outbox.streams.values() if (one.device, one.epoch) == (device, outbox.epoch))
    return max((stream.next_seq - 1 for stream in known), default=0)
