"""Judges whether a new version works as well as the one before: install.sh rolls back if it does not."""

import socket
from urllib.parse import urlsplit

from edge_agent.status import Status, UplinkStatus

_REACH_S = 2.0


def unwell(before: Status | None, first: Status, now: Status) -> str:
    """Say what the version that runs now does not do yet; "" when it is healthy.

    Healthy is: the outbox is open; as many devices are online as before, or a reading has been kept; and each
    uplink had something acknowledged or owes nothing, or its broker cannot be reached, which is not the
    version's fault. ``before`` is how the version before it did, None where nobody knows; ``first`` is the
    first look at this one.
    """
    if not now.epoch:
        return "the outbox is not open"
    online, were = _online(now), _online(before) if before else 0
    if online < were and now.kept <= first.kept:
        return (
            f"{online} of {len(now.devices)} devices are online, {were} were before, and no reading was kept"
        )
    had = {uplink.name: uplink.acknowledged for uplink in first.uplinks}
    for uplink in now.uplinks:
        if uplink.connected:
            owed = uplink.backlog + uplink.in_flight
            if owed and uplink.acknowledged <= had.get(uplink.name, 0):
                return f"uplink {uplink.name}: nothing was acknowledged, and {owed} readings are owed"
        elif _reachable(uplink):
            why = uplink.problem or "not connected"
            return f"uplink {uplink.name}: {why}, although {uplink.server} can be reached"
    return ""


def _online(status: Status) -> int:
    return sum(device.availability == "online" for device in status.devices)


def _reachable(uplink: UplinkStatus) -> bool:
    """Return whether anybody listens at the uplink's server."""
    server = urlsplit(uplink.server)
    if not server.hostname or not server.port:
        return False
    try:
        socket.create_connection((server.hostname, server.port), _REACH_S).close()
    except OSError:
        return False
    return True
