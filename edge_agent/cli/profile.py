"""``edge-agent profile``: list device profiles, show one, and test one against its own vectors."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent import registry
from edge_agent.cli.say import say, tell
from edge_agent.cli.verb_exit import stop
from edge_agent.driver import ProfileError, find_profiles, profile_text
from edge_agent.profile import profile_title
from edge_agent.text.language import tr
from edge_agent.text.translation import translated

profile = typer.Typer(
    no_args_is_help=True, help=tr("List, show and test profiles: device models described in TOML.")
)

_USUAL_DRIVER = "modbus"

Kind = Annotated[
    str,
    typer.Option("--driver", help=tr("Driver of the profile; default: taken from its folder, or modbus.")),
]


@profile.command("list")
def list_(*, driver: Annotated[str, typer.Option(help=tr("Only this driver's profiles."))] = "") -> None:
    """List all profiles: packaged ones, and the site's own in /etc/edge-agent/profiles/DRIVER.

    Example: edge-agent profile list --driver modbus
    """
    try:
        if driver:
            registry.load(driver)
        found = {name: find_profiles(name) for name in ([driver] if driver else registry.names())}
    except (registry.UnknownDriverError, ProfileError) as error:
        stop(str(error))
    for name, profiles in found.items():
        width = max(map(len, profiles), default=0)
        for one, file in profiles.items():
            note = f" ({file.note})" if file.note else ""
            say(f"{name} {one:{width}}  {_title(name, one)}{note}")


def _title(driver: str, name: str) -> str:
    try:
        return translated(profile_title(driver, name))
    except ValueError:  # `edge-agent profile test` says why
        return tr("cannot be used")


@profile.command()
def show(name: Annotated[str, typer.Argument(help=tr("Name of a profile."))], *, driver: Kind = "") -> None:
    """Print a profile, for example to start your own from it.

    Example: edge-agent profile show eastron_sdm120 > acme_m1.toml
    """
    try:
        say(profile_text(_driver_of(name, driver), name), end="")
    except ValueError as error:
        stop(str(error))


@profile.command("test")
def try_(
    file: Annotated[str, typer.Argument(help=tr("A profile's file, or the name of one that is there."))],
    *,
    driver: Kind = "",
    as_json: Annotated[bool, typer.Option("--json", help=tr("For programs."))] = False,
) -> None:
    """Test a profile: its rules, its vectors, and what one poll costs on the line.

    Ends with 0 when it is in order, 1 when it is not, 2 when it cannot be tested.

    Example: edge-agent profile test ./acme_m1.toml
    """
    from edge_agent.cli.profile_trial import try_profile  # noqa: PLC0415 - `edge-agent --help` need not wait for it

    name = str(Path(file).absolute()) if file.endswith(".toml") else file
    try:
        kind = _driver_of(name, driver)
        record = registry.load(kind)
        if not find_profiles(kind):
            stop(f"driver {kind} has no profiles; give the one that has with --driver", as_json=as_json)
        profile_text(kind, name)
    except (registry.UnknownDriverError, ValueError) as error:
        stop(str(error), as_json=as_json)
    trial = try_profile(kind, record, name)
    if as_json:
        tell(trial.as_dict())
    else:
        say("\n".join(trial.lines()))
    if not trial.ok:
        raise typer.Exit(1)


def _driver_of(file: str, driver: str) -> str:
    """Return the driver that is given, else that of the file's folder or of the profile, else modbus."""
    if driver:
        return driver
    names = registry.names()
    if "/" in file:
        above = reversed(Path(file).parent.parts)
        return next((part for part in above if part in names), _USUAL_DRIVER)
    return next((name for name in names if file in find_profiles(name)), _USUAL_DRIVER)
