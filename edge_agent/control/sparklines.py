"""The verb that tells the last hour of each device, of one channel, for sparklines."""

import math
from collections.abc import Mapping
from typing import Any

from edge_agent.agent.agent import Agent
from edge_agent.control.server import Tell

_LATE_AFTER = 3  # times the expected interval


async def tell_hour(agent: Agent, _args: object, _tell: Tell) -> Mapping[str, Any]:
    """Tell, by device, the ``channel`` that says most, and its lowest and highest value of each minute.

    ``points`` are 60, the last one being that of now; None where nothing was heard. Memory has them: an
    agent that was started just now knows of nothing before. A silence of more than ``gap`` minutes
    is one.
    """
    if agent.running is None:
        return {"devices": {}}
    return {
        "devices": {
            id_: {
                "channel": device.main_channel,
                "points": device.last_hour(),
                "gap": max(1, math.ceil(_LATE_AFTER * device.expect_s / 60)),
            }
            for id_, device in agent.running.devices.items()
        }
    }
