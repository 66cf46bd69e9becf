"""``edge-agent drivers``: the drivers and profiles there are, each driver's sample and page, all devices."""

import json
import tomllib
from enum import StrEnum
from typing import Annotated, Any

import typer

from edge_agent import registry
from edge_agent.cli.completion import driver_names
from edge_agent.cli.devices_page import devices_page
from edge_agent.cli.driver_page import page, sample_settings
from edge_agent.cli.say import say
from edge_agent.cli.verb_exit import stop
from edge_agent.driver import ProfileError, find_profiles
from edge_agent.profile import ProfileFile, profile_text
from edge_agent.text.language import tr
from edge_agent.text.translation import translated


class Show(StrEnum):
    """What to print instead of the list."""

    SAMPLE = "sample"
    PAGE = "page"
    TABLE = "table"


def drivers(
    show: Annotated[
        Show | None,
        typer.Argument(help=tr("One driver's configuration sample or page; a table of all devices.")),
    ] = None,
    name: Annotated[
        str | None, typer.Argument(help=tr("Name of the driver."), autocompletion=driver_names)
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help=tr("For programs."))] = False,
) -> None:
    """List drivers and profiles; or print a driver's sample or page, or a table of all devices.

    Ends with 2 when there is no such driver.

    Example: edge-agent drivers sample modbus
    """
    if as_json and show is not None:
        stop(f"--json is for the list; leave it out with {show}", as_json=True)
    try:
        say(_text(show, name, as_json=as_json), end="")
    except (registry.UnknownDriverError, ProfileError) as error:
        stop(str(error), as_json=as_json)


def _text(show: Show | None, name: str | None, *, as_json: bool) -> str:
    if show is None:
        found = [_driver(entry) for entry in registry.entries()]
        return (json.dumps({"drivers": found}, ensure_ascii=False) if as_json else _listing(found)) + "\n"
    if show is Show.TABLE:
        return devices_page()
    if name is None:
        stop(f"`edge-agent drivers {show}` needs a driver; installed: {', '.join(registry.names())}")
    return page(name) if show is Show.PAGE else registry.resource(registry.load(name), "sample.toml")


def _driver(entry: registry.Entry) -> dict[str, Any]:
    record = entry.driver
    return {
        "name": entry.name,
        "title": record.title if record else "",
        "over": record.over.value if record else "",
        "origin": entry.origin,
        "status": entry.problem or "ok",
        "profiles": [_profile(entry, name, file) for name, file in find_profiles(entry.name).items()],
    }


def _profile(entry: registry.Entry, name: str, file: ProfileFile) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "own": file.own, "replaces": file.replaces, "file": str(file.path)}
    try:
        if entry.driver:
            usual = sample_settings(entry.driver)
            entry.driver.open(entry.driver.settings.model_validate(usual | {"profile": name}))
        facts = tomllib.loads(profile_text(entry.name, name))
    except ProfileError as error:
        return told | {"title": "", "source": "", "status": str(error)}
    kept = {key: str(facts.get(key, "")) for key in ("title", "source", "unconfirmed")}
    return told | kept | {"quality": str(facts.get("quality", "bronze")), "status": "ok"}


def _listing(found: list[dict[str, Any]]) -> str:
    lines = []
    for driver in found:
        facts = tr(
            "over {over}, from {origin}, {status}",
            over=driver["over"],
            origin=driver["origin"],
            status=driver["status"],
        )
        lines.append(f"{driver['name']}: {translated(driver['title'])} ({facts})")
        for profile in driver["profiles"]:
            lines.append(f"  {profile['name']}: {translated(profile['title']) or tr('cannot be used')}")
            if profile["own"]:
                place = tr(", in place of the built-in one") if profile["replaces"] else ""
                lines.append(tr("      the site's own: {file}{place}", file=profile["file"], place=place))
            lines.append(f"      {profile['source'] if profile['status'] == 'ok' else profile['status']}")
    return "\n".join(lines)
