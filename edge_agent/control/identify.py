"""The verb that says what something is, so that a person finds it: the gateway, or one of its devices.

Nothing blinks: the agent writes to no device.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from edge_agent.agent.agent import Agent
from edge_agent.agent.layout import Part
from edge_agent.agent.supervisor import Supervisor
from edge_agent.contract.commands import NoArgs
from edge_agent.control.last_frames import running_with
from edge_agent.control.protocol import STRICT, RefusedError
from edge_agent.control.server import Tell
from edge_agent.onsite.capture import without_secrets
from edge_agent.settings.field_types import Id


class IdentifyArgs(BaseModel):
    """Which device; without one, the gateway itself."""

    model_config = STRICT

    device: Id | None = None


async def identify(agent: Agent, args: IdentifyArgs, _tell: Tell) -> Mapping[str, Any]:
    """Say what it is. ``asked``: a device that can be read out of turn. Its ``settings`` tell no secret."""
    if args.device is None:
        if agent.running is None:
            raise RefusedError("the agent is about to start or to stop; try again in a minute")
        return await agent.running.own_commands.identify(NoArgs())
    running = running_with(agent, args.device)
    return _device(running, running.layout.parts[args.device])


def _device(running: Supervisor, part: Part) -> dict[str, Any]:
    settings = part.settings
    bus = running.layout.config.bus[settings.bus]
    format_ = running.layout.formats.get(settings.bus)
    return {
        "device": part.id,
        "name": settings.name,
        "place": settings.place,
        "labels": dict(settings.labels),
        "model": part.driver.model(part.chosen) or part.driver.title,
        "driver": settings.driver,
        "over": part.driver.over.value,
        "asked": part.id in running.buses.asked,
        "settings": without_secrets(part.chosen),
        "bus": settings.bus,
        "port": bus.ble or bus.port,
        "serial": "" if format_ is None else str(format_),
        "interval_s": settings.interval,
    }
