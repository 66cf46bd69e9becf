"""The messages that say what is here and how it does: status, meta, state, health, loss. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict

from edge_agent.contract.messages import (
    HealthMessage,
    LossMessage,
    StateMessage,
    StatusMessage,
)
from edge_agent.contract.topics import HEALTH_S, MONTH_S
from edge_agent.row import Declared, Row, Stream
from edge_agent.uplink.cloudevents import attributes
from edge_agent.uplink.interfaces import Gateway
from edge_agent.uplink.message import Outgoing
from edge_agent.uplink.payload import Description, known_values
from edge_agent.uplink.topics import Topics


def status(gateway: Gateway, topics: Topics, session: int, state: str, backlog: int) -> Outgoing:
    """Return the birth ("online"), the planned stop ("stopped") or the will ("offline")."""
    message = StatusMessage.model_validate(
        {
            "site": gateway.site,
            "gateway": gateway.id,
            "state": state,
            "session": session,
            "ts": gateway.now().ts,
            "epoch": gateway.epoch,
            "version": gateway.version,
            "backlog": backlog,
            "reason": "will" if state == "offline" else None,
        }
    )
    return Outgoing(topics.status, message.payload(), retain=True, expiry=MONTH_S)


def heard_status(payload: bytes) -> tuple[str, int] | None:
    """Read the state and the session from a status message; None when it is no such thing."""
    try:
        content = json.loads(payload)
        return str(content["state"]), int(content["session"])
    except (ValueError, KeyError, TypeError):
        return None


def meta(gateway: Gateway, topics: Topics, device: str) -> Outgoing:
    """Return what a device is."""
    return Outgoing(topics.meta(device), gateway.metas[device].encode(), retain=True, expiry=MONTH_S)


def state(gateway: Gateway, topics: Topics, device: str, last: tuple[Row, Description] | None) -> Outgoing:
    """Return a device's availability and, once there is one, its last kept reading."""
    availability, since, reason = gateway.availability(device)
    values: Mapping[str, object] = {}
    ts = None
    if last is not None:
        row, description = last
        when = gateway.moment(row.boot, row.mono_ms)
        ts = when.ts
        values = known_values(description, row)
    message = StateMessage.model_validate(
        {
            "gateway": gateway.id,
            "device": device,
            "ts": ts,
            "availability": availability,
            "since": since,
            "reason": reason or None,
            **values,
        }
    )
    return Outgoing(topics.state(device), message.payload(), retain=True, expiry=MONTH_S)


def loss(gateway: Gateway, topics: Topics, stream: Stream, declared: Declared) -> Outgoing:
    """Return the declaration of readings that are given up."""
    message = LossMessage.model_validate(
        {
            "site": gateway.site,
            "gateway": gateway.id,
            "device": stream.device,
            "epoch": stream.epoch,
            "seq": declared.id,
            "from_seq": declared.from_seq,
            "to_seq": declared.to_seq,
            "readings": declared.readings,
            "from_ts": _ts(gateway, declared.from_boot, declared.from_mono),
            "to_ts": _ts(gateway, declared.to_boot, declared.to_mono),
            "reason": declared.reason,
        }
    )
    id_ = f"{gateway.id}/loss/{stream.epoch}/{declared.id}"
    when = message.to_ts if message.to_ts is not None else gateway.now().ts
    about = attributes(topics.base, message.schema_, id_, when)
    return Outgoing(topics.loss(stream.device), message.payload(), attributes=about)


def _ts(gateway: Gateway, boot: int | None, mono_ms: int | None) -> int | None:
    return None if boot is None or mono_ms is None else max(0, gateway.moment(boot, mono_ms).ts)


def health(  # noqa: PLR0913, PLR0917 - all that it tells beside the snapshot
    gateway: Gateway,
    topics: Topics,
    backlog: int,
    acknowledged: int,
    drain_s: float | None,
    commands: Mapping[str, int] | None,
) -> Outgoing:
    """Return the agent's own numbers."""
    now = gateway.snapshot()
    counts = {"online": 0, "late": 0, "offline": 0}
    for device in now.devices:
        counts[device.availability] += 1
    message = HealthMessage.model_validate(
        {
            "site": gateway.site,
            "gateway": gateway.id,
            "ts": gateway.now().ts,
            "backlog": backlog,
            "drain_s": None if drain_s is None else round(drain_s, 1),
            "acknowledged": acknowledged,
            "kept": now.kept,
            "lost": now.lost,
            "clock": now.clock,
            "disk_free_mb": now.disk_free_mb,
            "rss_mb": now.rss_mb,
            "devices": counts,
            "commands": commands,
            "problem": now.problem or None,
            "board": None if now.board is None else asdict(now.board),
        }
    )
    return Outgoing(topics.health, message.payload(), qos=0, expiry=HEALTH_S)
