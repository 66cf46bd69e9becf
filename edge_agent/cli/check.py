"""``edge-agent check``: whether a configuration can be used."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.ending import stop
from edge_agent.cli.options import CONFIG, ConfigFile
from edge_agent.cli.say import say, tell
from edge_agent.profile import profile_note
from edge_agent.settings.error import Problem, SettingsError
from edge_agent.settings.lines import line_of, locate
from edge_agent.settings.load import load
from edge_agent.settings.model import Config


def check(
    config: ConfigFile = CONFIG,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say OK, or all that is wrong with a configuration, with the line and what to do.

    Ends with 0 when it can be used, 78 when not.

    Example: edge-agent check --config agent.toml
    """
    try:
        found = load(config)
        _check_certificates(config, found)
    except SettingsError as error:
        if as_json:
            tell({"ok": False, "problems": [asdict(problem) for problem in error.problems]})
            raise typer.Exit(os.EX_CONFIG) from None
        stop(str(error), code=os.EX_CONFIG)
    if as_json:
        tell({"ok": True, "problems": []})
        return
    devices, buses = _count(len(found.device), "device"), _count(len(found.bus), "bus", "buses")
    for name, device in found.device.items():
        if note := profile_note(device.driver, profile := device.settings.get("profile")):
            say(f"device.{name}: profile {profile!r} is {note}")
    say(f"OK: {devices} on {buses}, {_count(len(found.uplink), 'uplink')}")


def _check_certificates(file: Path, found: Config) -> None:
    """Make what TLS will need, as the agent does when it connects.

    Raises:
        SettingsError: an uplink's files cannot be used.
    """
    with_tls = {
        name: uplink for name, uplink in found.uplink.items() if any(one.tls for one in uplink.servers)
    }
    if not with_tls:
        return
    from edge_agent.uplink.tls import context  # noqa: PLC0415 - OpenSSL only where it is used

    lines, problems = locate(file.read_text("utf-8-sig")), []
    for name, uplink in with_tls.items():
        try:
            context(uplink)
        except OSError as error:
            wrong, _, remedy = str(error).partition("; ")
            key = wrong.split()[0]  # ca, cert or key
            place = ("uplink", name, key)
            problems.append(Problem(str(file), line_of(lines, place), ".".join(place), wrong, remedy))
    if problems:
        raise SettingsError(problems)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
