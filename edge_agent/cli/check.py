"""``edge-agent check``: whether a configuration can be used."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.profile import profile_note
from edge_agent.settings.error import SettingsError
from edge_agent.settings.load import load

_CONFIG = Path("/etc/edge-agent/agent.toml")


def check(
    config: Annotated[
        Path, typer.Option("--config", "-c", readable=False, help="The configuration file.")
    ] = _CONFIG,
) -> None:
    """Say OK, or all that is wrong with a configuration, with the line and what to do."""
    try:
        found = load(config)
    except SettingsError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(os.EX_CONFIG) from None
    devices, buses = _count(len(found.device), "device"), _count(len(found.bus), "bus", "buses")
    for name, device in found.device.items():
        if note := profile_note(device.driver, profile := device.settings.get("profile")):
            print(f"device.{name}: profile {profile!r} is {note}")
    print(f"OK: {devices} on {buses}, {_count(len(found.uplink), 'uplink')}")


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
