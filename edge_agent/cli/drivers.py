"""``edge-agent drivers``: which drivers and profiles are installed, and each one's sample and page."""

import json
import tomllib
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import typer

from edge_agent import registry
from edge_agent.cli.page import page
from edge_agent.driver import find_profiles, profile_text


class Show(StrEnum):
    """What to print about one driver."""

    SAMPLE = "sample"
    PAGE = "page"


def drivers(
    show: Annotated[
        Show | None, typer.Argument(help="One driver's configuration sample, or its page.")
    ] = None,
    name: Annotated[str | None, typer.Argument(help="Name of that driver.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the installed drivers and their profiles, or print a driver's sample or page."""
    if show is None:
        found = [_driver(entry) for entry in registry.entries()]
        print(json.dumps({"drivers": found}, ensure_ascii=False) if as_json else _listing(found))
        return
    if name is None:
        _stop(f"`edge-agent drivers {show}` needs a driver; installed: {', '.join(registry.names())}")
    try:
        text = page(name) if show is Show.PAGE else registry.resource(registry.load(name), "sample.toml")
    except registry.UnknownDriverError as error:
        _stop(str(error))
    print(text, end="")


def _driver(entry: registry.Entry) -> dict[str, Any]:
    record = entry.driver
    return {
        "name": entry.name,
        "title": record.title if record else "",
        "over": record.over.value if record else "",
        "origin": entry.origin,
        "status": entry.problem or "ok",
        "profiles": [_profile(entry.name, profile) for profile in find_profiles(entry.name)],
    }


def _profile(driver: str, name: str) -> dict[str, str]:
    try:
        facts = tomllib.loads(profile_text(driver, name))
    except tomllib.TOMLDecodeError as error:
        return {"name": name, "title": f"not TOML: {error}", "source": ""}
    return {"name": name, "title": str(facts.get("title", "")), "source": str(facts.get("source", ""))}


def _listing(found: list[dict[str, Any]]) -> str:
    lines = []
    for driver in found:
        facts = f"over {driver['over']}, from {driver['origin']}, {driver['status']}"
        lines.append(f"{driver['name']}: {driver['title']} ({facts})")
        for profile in driver["profiles"]:
            lines.append(f"  {profile['name']}: {profile['title']}")
            lines.append(f"      {profile['source']}")
    return "\n".join(lines)


def _stop(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)
