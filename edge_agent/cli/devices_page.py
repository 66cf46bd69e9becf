"""The table of all supported devices: what is installed, by driver and profile."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

from edge_agent import registry
from edge_agent.cli.driver_page import every_channel, sample_settings, table
from edge_agent.driver import Channel, Driver, Over, ProfileError, find_profiles, profile_text

_OVER = {
    Over.STREAM: "serial, speaks unasked",
    Over.LINE: "serial, is asked",
    Over.REGISTERS: "serial, Modbus RTU",
    Over.ADVERTISEMENTS: "BLE broadcasts",
    Over.GATT: "BLE connection",
}
_HEAD = ("Device", "Measures", "Over", "Serial format", "Driver", "Profile", "Quality", "Source")
_START = """\
# Supported devices

Every device that the installed drivers read. The serial format is the factory setting, if the source has it.
Quality: bronze was tested with recorded or printed frames (vectors), silver was captured from hardware, gold
was in a park for 90 days. Facts without a good source are on the driver's page, as "Not confirmed". A Modbus
device that is not here needs [one TOML file](driver.md).

This page is generated: `make pages`.
"""


def devices_page() -> str:
    """Return the page as Markdown."""
    rows = [row for entry in registry.entries() if entry.driver for row in _rows(entry.name, entry.driver)]
    return f"{_START}\n{table(_HEAD, rows)}\n"


def _rows(name: str, record: Driver[Any]) -> Iterator[tuple[str, ...]]:
    ours = record.home.startswith("drivers.")
    linked = f"[{name}](../{record.home.replace('.', '/')}/README.md)" if ours else name
    profiles = find_profiles(name)
    for profile, file in profiles.items():
        try:
            opened = record.settings.model_validate(sample_settings(record) | {"profile": profile})
            channels = record.open(opened).channels
        except ProfileError:  # the site's own: `edge-agent drivers` says what is wrong with it
            continue
        facts = tomllib.loads(profile_text(name, profile))
        source = facts["source"] + (f" ({file.note})" if file.own else "")
        columns = _measured(channels), _OVER[record.over], record.serial(opened)
        yield facts["title"], *columns, linked, f"`{profile}`", facts.get("quality", "bronze"), source
    if not profiles:
        columns = _measured(every_channel(record)), _OVER[record.over], _serial(record)
        yield record.title, *columns, linked, "", *_said(registry.resource(record, "README.md"))


def _said(page: str) -> tuple[str, str]:
    """Return the quality and the source that a driver's own page tells."""
    text = " ".join(page.split())
    quality, source = re.search(r"Quality: (\w+)", text), re.search(r"Source: (.+?)\. ", text)
    return quality[1] if quality else "", source[1] if source else "its page"


def _serial(record: Driver[Any]) -> str:
    return record.serial(record.settings.model_validate(sample_settings(record)))


def _measured(channels: Iterable[Channel]) -> str:
    return ", ".join(dict.fromkeys(channel.quantity.label.lower() for channel in channels))
