"""The verb that returns the last frames of a device, decoded."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from edge_agent.agent.agent import Agent
from edge_agent.agent.layout import Part
from edge_agent.agent.supervisor import Supervisor
from edge_agent.bus import mbap, modbus
from edge_agent.bus.address import Address
from edge_agent.bus.recent_frames import LONGEST, Exchanged
from edge_agent.bus.redaction import in_hex
from edge_agent.control.protocol import STRICT, RefusedError
from edge_agent.control.server import Tell
from edge_agent.driver import Advertisement, Fault, NotMine, Over, Sample
from edge_agent.driver_kit.ble_address import service
from edge_agent.fault import fault_text
from edge_agent.settings.field_types import Id

_USUAL = service(0)[8:]  # the end of a UUID that has a short form


class OfDeviceArgs(BaseModel):
    """Of which device."""

    model_config = STRICT

    device: Id


async def tell_frames(agent: Agent, args: OfDeviceArgs, _tell: Tell) -> Mapping[str, Any]:
    """Return a device's last frames, the newest first.

    Each has ``age_s``, ``ts`` (ms since 1970, None while the time is not known), ``sent`` and ``heard`` in
    hex, a ``fault`` or "", and what it means: ``values`` with their units, or a ``note``.
    """
    running = running_with(agent, args.device)
    part, frames = running.layout.parts[args.device], running.devices[args.device].recent_frames.all()
    port = agent.config.bus[part.settings.bus].port
    now = running.now().ts if agent.status().clock == "synchronised" else None
    try:
        decoded = await asyncio.to_thread(lambda: list(_decoded(part, port, frames, now)))
    except ValueError as error:  # its profile was taken away since
        raise RefusedError(str(error)) from None
    return {"device": args.device, "longest": LONGEST, "frames": decoded}


def running_with(agent: Agent, device: str) -> Supervisor:
    """Return the running tasks, if a device is among them.

    Raises:
        RefusedError: there is none of that name, or not yet.
    """
    if device not in agent.config.device:
        raise RefusedError(f"there is no device {device}")
    if agent.running is None or device not in agent.running.devices:
        raise RefusedError("the agent is about to start or to stop; try again in a minute")
    return agent.running


def _decoded(part: Part, port: str, frames: Sequence[Exchanged], now: int | None) -> Iterator[dict[str, Any]]:
    """Decode with a device object of its own: that of the agent may keep state, such as packet ids."""
    meaning = _meaning(part, port)
    known = [(one, *meaning(one)) for one in reversed(frames)]  # as they came: a counter counts on
    for one, values, note in reversed(known):
        age = time.monotonic() - one.at
        yield {
            "age_s": round(age, 3),
            "ts": None if now is None else now - round(age * 1000),
            "sent": one.sent if isinstance(one.sent, str) else in_hex(one.sent),
            "heard": _advertised(one.heard) if isinstance(one.heard, Advertisement) else in_hex(one.heard),
            "size": one.size,
            "fault": one.fault,
            "values": values,
            "note": note,
        }


def _meaning(part: Part, port: str) -> Callable[[Exchanged], tuple[dict[str, Any], str]]:
    device: Any = part.driver.open(part.chosen)  # whose shape ``over`` tells
    units = {channel.name: channel.quantity.unit for channel in device.channels}

    def samples(one: Exchanged) -> Sequence[Sample]:
        if part.driver.over in {Over.STREAM, Over.ADVERTISEMENTS}:
            return list(device.decode(one.heard))
        if part.driver.over is not Over.REGISTERS:
            return list(device.decode(one.heard, one.sent))
        framed = mbap if Address.parse(port).kind == "modbus-tcp" else modbus
        question, found = framed.meaning(one.sent, one.heard)
        return list(device.decode(found, question))

    def meaning(one: Exchanged) -> tuple[dict[str, Any], str]:
        if one.fault or one.size:  # it says what is wrong; or there is not all of it
            return {}, ""
        try:
            found = samples(one)
        except NotMine as fault:
            return {}, str(fault)
        except Fault as fault:
            return {}, fault_text(fault)
        return {name: [value, units.get(name, "")] for name, value in found}, ""

    return meaning


def _advertised(advert: Advertisement) -> str:
    """Write what a broadcast carries: service data by UUID, manufacturer data by company."""
    services, makers = advert.service_data.items(), advert.manufacturer_data.items()
    parts = [(uuid.removesuffix(_USUAL).removeprefix("0000"), content) for uuid, content in services]
    parts += [(f"0x{company:04X}", content) for company, content in makers]
    hexes = [f"{name}: {content[:LONGEST].hex(' ').upper()}" for name, content in parts]
    return "; ".join([*hexes, f"{advert.rssi} dBm"])
