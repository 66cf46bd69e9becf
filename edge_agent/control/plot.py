"""The verb that tells what a device read in the last hour, day or week, for a plot."""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from edge_agent.agent.agent import Agent
from edge_agent.control.protocol import STRICT, RefusedError
from edge_agent.control.server import Tell
from edge_agent.outbox.past import Past, past
from edge_agent.outbox.store import DamagedError, OutboxError
from edge_agent.settings.field_types import Id

LENGTHS_MS = {"1h": 3_600_000, "24h": 86_400_000, "7d": 7 * 86_400_000}
MOST = 240  # spans of a channel
WITHIN_S = 3.0
_TURN_S = 5.0
_LATE_AFTER = 3  # times the time between two readings
_LATE_AT_LEAST_MS = 60_000

_one_at_a_time = threading.Lock()  # each reads the disk for up to 3 s


class PastArgs(BaseModel):
    """Whose past, and how much of it."""

    model_config = STRICT

    device: Id
    length: Literal["1h", "24h", "7d"] = "1h"


async def tell_past(agent: Agent, args: PastArgs, _tell: Tell) -> Mapping[str, Any]:
    """Read it beside the agent. Two readings further apart than ``gap_ms`` have a gap between them.

    ``channels`` have ``unit`` and ``spans``, each span [first ms, last ms, lowest, highest, last, doubt].
    """
    settings = agent.config.device.get(args.device)
    if settings is None:
        raise RefusedError(f"there is no device {args.device}")
    status = agent.status()
    now = agent.running.now().ts if agent.running and status.clock == "synchronised" else None
    silence = settings.report.silence if settings.report else None
    expected_ms = 1000 * max(settings.expect or settings.interval, settings.average or 0, silence or 0)
    try:
        found = await asyncio.to_thread(
            _in_turn, Path(status.outbox), args.device, now, LENGTHS_MS[args.length]
        )
    except (OutboxError, DamagedError, TimeoutError) as error:
        raise RefusedError(str(error)) from None
    return {
        "device": args.device,
        "from_ms": found.from_ms,
        "to_ms": found.to_ms,
        "gap_ms": max(_LATE_AFTER * expected_ms, _LATE_AT_LEAST_MS),
        "complete": found.complete,
        "clock": status.clock,
        "timezone": agent.config.gateway.timezone,
        "channels": {
            channel: {"unit": found.units[channel], "spans": spans} for channel, spans in found.spans.items()
        },
    }


def _in_turn(path: Path, device: str, now: int | None, length_ms: int) -> Past:
    if not _one_at_a_time.acquire(timeout=_TURN_S):
        raise TimeoutError("others look at the past just now; try again in a minute")
    try:
        return past(path, device, now, length_ms, MOST, WITHIN_S)
    finally:
        _one_at_a_time.release()
