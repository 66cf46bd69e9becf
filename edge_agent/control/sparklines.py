"""The verb that tells the last hour of each device, of one channel, for sparklines."""

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from edge_agent.agent.agent import Agent
from edge_agent.agent.supervisor import Supervisor
from edge_agent.control.server import Tell
from edge_agent.outbox.hours import Minutes, hours
from edge_agent.outbox.store import DamagedError, OutboxError

_LATE_AFTER = 3  # times the expected interval
_HOUR_S = 3600.0
_WITHIN_S = 2.0

_filled = WeakKeyDictionary[Supervisor, bool]()
"""Whether the hour before it was read into memory; those of whom nobody has asked are not here."""


async def tell_hour(agent: Agent, _args: object, _tell: Tell) -> Mapping[str, Any]:
    """Tell, by device, the ``channel`` that says most, and its lowest and highest value of each minute.

    ``points`` are 60, the last one being that of now; None where nothing was heard. Memory has them; what was
    before the agent was started is read from the outbox once, when somebody asks first: that is ``filling``,
    and nobody waits for it. A silence of more than ``gap`` minutes is one.
    """
    running = agent.running
    if running is None:
        return {"devices": {}, "filling": False}
    status = agent.status()
    if running not in _filled and status.clock == "synchronised":
        _filled[running] = status.uptime_s >= _HOUR_S  # then memory has all of it
        if not _filled[running]:
            running.beside(_fill(running, Path(status.outbox)), "hour")
    return {
        "filling": not _filled.get(running, True),
        "devices": {
            id_: {
                "channel": device.main_channel,
                "points": device.last_hour(),
                "gap": max(1, math.ceil(_LATE_AFTER * device.expect_s / 60)),
            }
            for id_, device in running.devices.items()
        },
    }


async def _fill(running: Supervisor, outbox: Path) -> None:
    channels = {id_: device.main_channel for id_, device in running.devices.items()}
    found: dict[str, Minutes] = {}
    with suppress(OutboxError, DamagedError):  # a device's page says so
        found = await asyncio.to_thread(hours, outbox, running.now().ts, channels, _WITHIN_S)
    for id_, minutes in found.items():
        if id_ in running.devices:
            running.devices[id_].fill_hour(minutes)
    _filled[running] = True
