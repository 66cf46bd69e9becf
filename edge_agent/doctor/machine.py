"""The machine: its clock, the disk under the outbox, Python and the libraries."""

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from edge_agent import __version__
from edge_agent.clock import SystemClock
from edge_agent.doctor.finding import Finding, Group
from edge_agent.doctor.user import User
from edge_agent.settings.model import Config

_ROOM = 1.2  # of outbox.max_size: the log beside the file
_LITTLE = 50_000_000  # bytes free, with which not even the rest of the system does well
_NEWEST = (3, 14)
_DISTRIBUTION = "smartpark-edge-agent"
_WORN = 8  # of 10 steps of a card's life


def clock(config: Config) -> Iterator[Finding]:
    """Look whether the wall clock may be believed."""
    group = Group("machine")
    trust = config.clock.trust
    if SystemClock(trust).trusted():
        yield group.ok("clock", "synchronised" if trust == "kernel" else f"trusted ({trust})")
    else:
        yield group.warn(
            "clock",
            "nothing sets it: readings wait for it, then go out as unsynchronised",
            "`timedatectl set-ntp true`, and let it reach a time server; isolated: clock.trust",
        )


def disk(config: Config, user: User, sys_: Path = Path("/sys")) -> Iterator[Finding]:
    """Look at the place of the outbox: may it be written, is there room, how worn is the card."""
    group, file = Group("machine"), config.outbox.path
    folder = next(place for place in file.parents if place.exists())
    facts = os.statvfs(folder)
    if facts.f_flag & os.ST_RDONLY:
        yield group.fail(
            f"disk under {folder}", "is mounted read-only: readings are kept in memory only",
            "`dmesg` says why; a card that has given up must be replaced",
        )  # fmt: skip
    elif folder != file.parent:
        yield group.warn(
            f"folder {file.parent}", "is not there",
            f"systemd makes it when the service starts; else `install -d -o {user.name} {file.parent}`",
        )  # fmt: skip
    elif not user.may(folder, write=True, enter=True):
        yield group.fail(
            f"folder {folder}", f"{user.name} may not write there", f"`chown {user.name} {folder}`"
        )
    elif file.exists() and not user.may(file, write=True):
        yield group.fail(str(file), f"{user.name} may not write it", f"`chown {user.name} {file}*`")
    yield _room(group, config, folder)
    yield from _wear(group, folder, sys_)


def _room(group: Group, config: Config, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    used = sum(
        piece.stat().st_size for piece in config.outbox.path.parent.glob(config.outbox.path.name + "*")
    )
    needed = config.outbox.max_size * _ROOM - used
    what, says = (
        "room on the disk",
        f"{free / 1e6:.0f} MB free, the outbox may take {max(needed, 0) / 1e6:.0f} more",
    )
    if free < _LITTLE:
        return group.fail(what, says, "free space: with a full disk readings are kept in memory only")
    if free < needed:
        return group.warn(what, says, "lower outbox.max_size, or free space")
    return group.ok(what, says)


def _wear(group: Group, folder: Path, sys_: Path) -> Iterator[Finding]:
    """Read what an SD card or eMMC tells of itself (Linux, Documentation/ABI/testing/sysfs-bus-mmc)."""
    number = folder.stat().st_dev
    block = sys_ / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    try:
        place = block.resolve(strict=True)
    except OSError:
        return
    for device in (parent / "device" for parent in (place, place.parent)):
        made, life = _said(device / "date"), _said(device / "life_time")
        if not made:
            continue
        worn = max((int(part, 16) for part in life.split()), default=0)
        says = f"made {made}" + (
            f", {worn * 10} % of its life used" if worn else ", it does not tell its wear"
        )
        if worn > _WORN:
            yield group.warn("card", says, "replace it soon")
        else:
            yield group.ok("card", says)
        return


def _said(file: Path) -> str:
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def software() -> Iterator[Finding]:
    """Name the versions, and say which library is older than it may be."""
    group = Group("software")
    version = sys.version_info[:2]
    says = f"edge-agent {__version__}, Python {platform.python_version()}, {platform.machine()}"
    if version > _NEWEST:
        yield group.warn("versions", says, "this Python is newer than what was tested: 3.11 to 3.14")
    else:
        yield group.ok("versions", says)
    try:
        needed = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield group.warn(
            "libraries", "not installed as a package", "install it with pip, in a venv of its own"
        )
        return
    found, missing = [], []
    for name in (line.split(">")[0].split("=")[0].strip() for line in needed if "extra ==" not in line):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield group.fail("libraries", f"missing: {', '.join(missing)}", "install edge-agent anew")
    else:
        yield group.ok("libraries", ", ".join(found))
