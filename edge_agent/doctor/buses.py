"""Whether each port and adapter of the configuration is there, may be opened, and is free."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_agent.bus.address import Address
from edge_agent.bus.ports import lasting, serial_ports, shared
from edge_agent.bus.remedy import holders
from edge_agent.doctor.finding import Finding, Group
from edge_agent.doctor.running import Agent
from edge_agent.doctor.user import PORTS, User
from edge_agent.settings.device import Bus
from edge_agent.settings.model import Config

_REACH_S = 3.0
_ENOUGH_SHOWN = 5
_OURS = "edge-agent run "


def buses(config: Config, user: User, agent: Agent) -> Iterator[Finding]:
    """Look at every bus. While the agent runs no port is opened: it has them."""
    if not config.bus:
        yield Group("buses").warn(
            "buses", "there is none: nothing is read", "add one: `edge-agent scan serial`"
        )
    for name, bus in config.bus.items():
        group = Group(f"bus {name}")
        if bus.ble:
            yield _adapter(group, bus.ble)
            continue
        address = Address.parse(bus.port)
        if address.host:
            yield _network(group, bus, address, running=agent.runs)
        else:
            yield from _port(group, Path(address.device or bus.port), user, held=bus.port in agent.ports)
        users = [id_ for id_, device in config.device.items() if device.bus == name]
        if not users:
            yield group.warn("devices", "nothing is on it", "add a device, or remove the bus")


def _port(group: Group, port: Path, user: User, *, held: bool) -> Iterator[Finding]:
    try:
        allowed = user.may(port, write=True)
    except OSError as error:
        there = ", ".join(known.name for known in serial_ports()[:_ENOUGH_SHOWN]) or "none"
        yield group.fail(
            str(port), f"is not there ({error.strerror})", f"plug it in, or use one that is there: {there}"
        )
        return
    if not allowed:
        yield group.fail(
            str(port),
            f"may not be opened by {user.name}",
            f"`sudo usermod -aG {PORTS} {user.name}`, then start the agent again",
        )
        return
    others = [holder for holder in holders(str(port)) if not holder.startswith(_OURS)]
    if held:
        yield group.ok(str(port), "the running agent has it, and it is well")
    elif others:
        yield group.fail(str(port), f"is in use by {', '.join(others)}", "stop that; a port has one owner")
    else:
        yield group.ok(str(port), f"is there, {user.name} may open it, nobody is seen to have it")
    yield from _lasts(group, port)


def _lasts(group: Group, port: Path) -> Iterator[Finding]:
    name = lasting(str(port))
    remedy = f"write port = {name!r} in agent.toml"
    if shared(str(port)):
        doubt = "adapters of its kind have no number, and share this name: a second one may take its place"
        unnamed = "use an adapter with a number of its own, or never a second one of this kind"
        yield group.warn(str(port), doubt, unnamed if name == str(port) else remedy)
    elif name != str(port) and not str(port).startswith(("/dev/serial/", "/dev/edge-agent/")):
        yield group.warn(str(port), "may have another name after a restart", remedy)


def _network(group: Group, bus: Bus, address: Address, *, running: bool) -> Finding:
    if running:
        return group.ok(bus.port, "the running agent has it; `edge-agent status` says how it does")
    try:
        socket.create_connection((address.host, address.number), _REACH_S).close()
    except OSError as error:
        return group.fail(
            bus.port,
            f"cannot be reached ({error.strerror or error})",
            "check address, network, and that no other program has its only connection",
        )
    return group.ok(bus.port, "can be reached")


def _adapter(group: Group, adapter: str) -> Finding:
    from edge_agent.bus.ble.powered import powered  # noqa: PLC0415 - only where there is an adapter

    return judged_adapter(group, adapter, powered)


def judged_adapter(group: Group, adapter: str, powered: Callable[[str], bool]) -> Finding:
    """Say whether an adapter is there and has power."""
    try:
        has = powered(adapter)
    except OSError as error:
        return group.fail(
            adapter,
            f"bluetoothd does not know it ({error})",
            "`apt-get install bluez`, `systemctl start bluetooth`; `bluetoothctl list` shows the adapters",
        )
    if not has:
        return group.fail(adapter, "has no power", "`rfkill unblock bluetooth`, then `bluetoothctl power on`")
    return group.ok(adapter, "is there and has power")
