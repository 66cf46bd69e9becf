"""Whether the configuration can be used, and its secrets can be read."""

import os
import stat
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from edge_agent.doctor.finding import Finding, Group
from edge_agent.doctor.user import User
from edge_agent.settings import secret
from edge_agent.settings.error import Problem
from edge_agent.settings.load import Loaded

_GROUP = Group("configuration")


def problems(found: tuple[Problem, ...]) -> Iterator[Finding]:
    """Tell what is wrong with the file, each at its line."""
    for one in found:
        place = f"{one.file}:{one.line}" if one.line else one.file
        says = f"{one.key}: {one.wrong}" if one.key else one.wrong
        yield _GROUP.fail(place, says, one.remedy)


def whole(file: Path, loaded: Loaded, user: User) -> Iterator[Finding]:
    """Look at a configuration that can be used: may the agent read it and its secrets."""
    config = loaded.config
    devices = f"devices: {len(config.device)}, buses: {len(config.bus)}, uplinks: {len(config.uplink)}"
    if user.may(file):
        yield _GROUP.ok(str(file), devices)
    else:
        yield _GROUP.fail(
            str(file), f"{user.name} may not read it", f"`chgrp {user.name} {file}`, and chmod g+r"
        )
    for name in sorted(set(secret_names(loaded.files.raw))):
        yield _secret(secret.FOLDER / name, user)
    for name, uplink in config.uplink.items():
        open_ = [str(server) for server in uplink.servers if not (server.tls or _is_loopback(server.host))]
        if uplink.password is not None and open_:
            yield _GROUP.warn(
                f"uplink {name}",
                f"its password goes to {', '.join(open_)} where everybody on the way can read it",
                "write mqtts:// in servers",
            )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _secret(file: Path, user: User) -> Finding:
    what = f"secret {file.name}"
    handed = os.environ.get("CREDENTIALS_DIRECTORY")
    if handed and Path(handed, file.name).is_file():
        return _GROUP.ok(what, "handed over by systemd")
    try:
        everybody, allowed = bool(file.stat().st_mode & stat.S_IROTH), user.may(file)
    except OSError as error:
        return _GROUP.warn(what, f"{file} cannot be looked at ({error.strerror})", "run doctor as root")
    if everybody:
        return _GROUP.warn(what, "everybody on this machine may read it", f"`chmod 0640 {file}`")
    if not allowed:
        return _GROUP.warn(
            what,
            f"{user.name} may not read it; only systemd can hand it over",
            f"`chgrp {user.name} {file}`, or LoadCredential={file.name}:{file} in the service",
        )
    return _GROUP.ok(what, f"{user.name} may read it, others may not")


def secret_names(table: Any) -> Iterator[str]:
    """Return the names of all secrets that a parsed file asks for."""
    match table:
        case {"secret": str(name)} if len(table) == 1:
            yield name
        case dict():
            for inner in table.values():
                yield from secret_names(inner)
        case list():
            for inner in table:
                yield from secret_names(inner)
