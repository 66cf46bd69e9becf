"""Notifies systemd (sd_notify(3)): ready, alive, still opening the outbox, and a status line."""

import asyncio
import os
import socket
from contextlib import suppress

from edge_agent.agent.agent import Agent
from edge_agent.status import Status

_EVERY_S = 30.0  # where systemd does not watch
_OPENING_S = 60  # what each message adds to the time that the start may take
_LONGEST_OPENING_S = 6 * 3600.0  # a salvage that takes longer has got stuck


def notify(state: str) -> None:
    """Send a message to systemd, if it started this process."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)  # where it does not take it, the next one follows
        channel.sendto(state.encode(), address)


def ready(status: Status) -> None:
    """Notify that the agent is ready: the outbox is open, and all devices' tasks have started."""
    notify(f"READY=1\nSTATUS={line(status)}")


async def keep_told(agent: Agent) -> None:
    """Feed the watchdog and update the status line, until cancelled.

    The agent is alive if the event loop runs and the outbox's writer responds; an error of the disk is a
    response. While the outbox is being opened, the event loop is enough.
    """
    if not os.environ.get("NOTIFY_SOCKET"):
        return
    loop = asyncio.get_running_loop()
    watched = _watchdog_s()
    every = min(watched / 3, _EVERY_S) if watched else _EVERY_S
    opening_until, sent = loop.time() + _LONGEST_OPENING_S, ""
    while True:
        now = agent.status()
        if not now.epoch and loop.time() < opening_until:
            notify(f"EXTEND_TIMEOUT_USEC={_OPENING_S * 1_000_000}\nWATCHDOG=1")
        elif now.epoch and watched and await agent.answers(every):
            notify("WATCHDOG=1")
        if (text := line(now)) != sent:
            notify(f"STATUS={text}")
            sent = text
        await asyncio.sleep(every)


def line(status: Status) -> str:
    """Return the status line."""
    if not status.epoch:
        return "opening the outbox"
    online = sum(device.availability == "online" for device in status.devices)
    uplinks = (
        f"{uplink.name} {'connected' if uplink.connected else 'not connected'}, {uplink.backlog} owed"
        for uplink in status.uplinks
    )
    parts = (f"{online} of {len(status.devices)} devices online", *uplinks, f"{status.lost} lost")
    return "; ".join((*parts, status.problem) if status.problem else parts)


def _watchdog_s() -> float:
    """Return the watchdog's timeout in seconds, 0 if there is none."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return max(0.0, int(os.environ.get("WATCHDOG_USEC", "0")) / 1_000_000)
    except ValueError:
        return 0.0
