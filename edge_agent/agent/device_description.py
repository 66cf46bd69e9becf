"""A device's description (``meta``) of the MQTT contract, which its readings refer to by hash."""

import hashlib
import math

from edge_agent import driver as contract
from edge_agent.contract.messages import ChannelMeta, MetaMessage
from edge_agent.settings.device import Device
from edge_agent.settings.device_channels import averaged, is_counted, kept_channels
from edge_agent.settings.model import Config


def describe(
    config: Config, id_: str, device: Device, model: str, channels: tuple[contract.Channel, ...]
) -> MetaMessage:
    """Return a device's description; its hash covers all other fields."""
    means = {channel.name for channel in averaged(device, channels)}
    described = {}
    for channel in kept_channels(device, channels):
        own = channel.name.rpartition("_")[0] if channel not in channels else channel.name
        configured = device.channel.get(own)
        quantity = channel.quantity
        described[channel.name] = ChannelMeta(
            quantity=quantity,
            unit=quantity.unit,
            kind="counter" if is_counted(device, own) else quantity.kind,
            name=(configured.name if configured and own == channel.name else "") or channel.label or None,
            interval_s=device.average or device.interval,
            average_s=device.average if own in means else None,
            plausible=_finite(configured.plausible)
            if configured and configured.plausible
            else _bounds(quantity),
        )
    message = MetaMessage.model_validate(
        {
            "site": config.gateway.site,
            "gateway": config.gateway.id,
            "device": id_,
            "hash": "",
            "name": device.name or None,
            "model": model,
            "place": device.place or None,
            "labels": dict(device.labels) or None,
            "channels": described,
        }
    )
    digest = hashlib.sha256(message.payload())  # in order: readings are kept in the order of the channels
    return message.model_copy(update={"hash": digest.hexdigest()[:8]})


def _finite(bounds: tuple[float, float]) -> tuple[float | None, float | None]:
    """Return bounds with None for infinite ones, which JSON does not have."""
    low, high = (bound if math.isfinite(bound) else None for bound in bounds)
    return low, high


def _bounds(quantity: contract.Quantity) -> tuple[float | None, float | None] | None:
    return None if quantity.low is quantity.high is None else (quantity.low, quantity.high)
