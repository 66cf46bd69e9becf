"""Why a serial port could not be opened, and what a person can do about it."""

import errno
import getpass
import grp
import os
from pathlib import Path

from edge_agent.bus.ports import serial_ports

_MOST_SHOWN = 8
_AGENT = "edge-agent"


def why_not_opened(port: str, error: Exception) -> str:
    """Return one sentence that names the port, the cause and the remedy. Looks at /dev and /proc."""
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.ENOENT:
        there = ", ".join(known.name for known in serial_ports()[:_MOST_SHOWN])
        return (
            f"{port} is not there; {f'there are: {there}' if there else 'plug in an adapter, none is there'}"
        )
    if code in {errno.EACCES, errno.EPERM}:
        return (
            f"{port} may not be opened by {_user()}; add it to the port's group with "
            f"`sudo usermod -aG {_group(port)} {_user()}`, then log in or start the service again"
        )
    if code in {errno.EBUSY, errno.EAGAIN}:
        found = holders(port)
        who = ", ".join(found) or "another program"
        if any(holder.startswith(f"{_AGENT} run ") for holder in found):
            remedy = (
                f"it lends the port to root and to members of the group {_AGENT}; else stop it with "
                f"`systemctl stop {_AGENT}`, and start it again afterwards"
            )
        else:
            remedy = "stop that, or give this bus another port"
        return f"{port} is in use by {who}; {remedy}"
    if code in {errno.EIO, errno.ENXIO, errno.ENODEV}:
        return f"{port} has no device behind it; check its plug and cable"
    return f"{port} cannot be used as a serial port ({error}); check the port's name and format"


def why_untried(port: str) -> str:
    """Say why a port of this machine need not be tried: it is not there, or not for this user; else ""."""
    if not Path(port).exists():
        return why_not_opened(port, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    if not os.access(port, os.R_OK | os.W_OK):
        return why_not_opened(port, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    return ""


def holders(port: str) -> list[str]:
    """Return who has a port open, as ``name (pid 1)``, as far as this user may see it."""
    target = os.path.realpath(port)
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(_leads_to(link, target) for link in (process / "fd").iterdir()):
                found.append(f"{_name(process)} (pid {process.name})")
        except OSError:  # it has ended, or is someone else's
            continue
    return found[:_MOST_SHOWN]


def _name(process: Path) -> str:
    """Return what a process is called, and of the agent's own programs the verb, too."""
    name = (process / "comm").read_text("utf-8", "replace").strip()
    words = (process / "cmdline").read_text("utf-8", "replace").split("\0")
    ours = [number for number, word in enumerate(words) if Path(word).name == _AGENT]
    return f"{_AGENT} {words[ours[0] + 1]}" if ours and len(words) > ours[0] + 1 else name


def _leads_to(link: Path, target: str) -> bool:
    try:
        return os.readlink(link) == target  # noqa: PTH115 - thousands of links: no Path for each
    except OSError:
        return False


def _group(port: str) -> str:
    try:
        name = grp.getgrgid(Path(port).stat().st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"
    return "dialout" if name == "root" else name


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"
