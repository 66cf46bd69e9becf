"""``edge-agent rename``: another site or gateway id."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.options import CONFIG, ConfigFile, Yes, loaded
from edge_agent.cli.say import say
from edge_agent.cli.verb_exit import stop, until_stopped
from edge_agent.text.language import tr

if TYPE_CHECKING:
    from edge_agent.outbox.policy import Identity
    from edge_agent.outbox.renaming import Outstanding


def rename(
    gateway: Annotated[str, typer.Option(help=tr("The new id of the gateway."))] = "",
    site: Annotated[str, typer.Option(help=tr("The new id of the site."))] = "",
    config: ConfigFile = CONFIG,
    yes: Yes = False,  # noqa: FBT002 - an option
) -> None:
    """Change the id or the site of the gateway, after everything was sent under the old name.

    The agent must be stopped. All readings from then on are numbered in a new epoch under the new name.

    Example: edge-agent rename --gateway gw-02
    """
    # what only this verb needs
    from edge_agent.clock import SystemClock  # noqa: PLC0415
    from edge_agent.outbox.policy import Identity  # noqa: PLC0415
    from edge_agent.outbox.renaming import rename as renamed  # noqa: PLC0415
    from edge_agent.outbox.store import DamagedError, OutboxError  # noqa: PLC0415
    from edge_agent.settings import document  # noqa: PLC0415
    from edge_agent.settings.atomic_write import replace_file  # noqa: PLC0415
    from edge_agent.settings.files import text_of  # noqa: PLC0415

    found = loaded(config)
    was = Identity(found.gateway.site, found.gateway.id)
    to = Identity(
        _id("--site", site) if site else was.site, _id("--gateway", gateway) if gateway else was.gateway
    )
    if to == was:
        stop(f"it is {was.site}/{was.gateway} already; say what it is to be with --gateway or --site")
    say(
        tr(
            "{site}/{gateway} becomes {new_site}/{new_gateway}. Its topics change, and with them what the "
            "broker must allow it and what backends listen to.",
            site=was.site,
            gateway=was.gateway,
            new_site=to.site,
            new_gateway=to.gateway,
        ),
        filled=True,
    )
    if not yes:
        typer.confirm(tr("Go on?"), abort=True)
    changed = _changed_keys(was, to)
    text = document.changed(text_of(config), "gateway", changed)  # before the outbox has the new name
    owed: list[Outstanding] = []

    async def work() -> None:
        owed.append(await renamed(found.outbox.path, was, to, SystemClock(found.clock.trust)))

    try:
        if not until_stopped(work()):
            stop("nothing was changed", code=130)
        if not owed[0].nothing:
            stop(_what_is_owed(owed[0]))
        replace_file(config.resolve(), text)  # of a link, the file that it leads to
    except DamagedError:
        stop(f"{found.outbox.path} is damaged; start the agent, which salvages it, and rename then")
    except OutboxError as error:
        stop(str(error))
    except OSError as error:
        stop(f"{config}: {error.strerror}; run this again as a user who may write it")
    for name, value in _overridden(changed).items():
        say(tr("The environment overrides the file: set {name}={value} there, too.", name=name, value=value))
    say(tr("{config} says so now. Start the agent: sudo systemctl start edge-agent", config=config))


def _changed_keys(was: "Identity", to: "Identity") -> dict[str, str]:
    """Return the keys of [gateway] that get another value, with that value."""
    pairs = (("site", was.site, to.site), ("id", was.gateway, to.gateway))
    return {key: new for key, old, new in pairs if new != old}


def _overridden(changed: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that override those keys, with the value that each must get."""
    from edge_agent.settings.environment import PREFIX  # noqa: PLC0415 - only this verb needs it

    return {
        name: value
        for name in sorted(os.environ)
        for key, value in changed.items()
        if name.startswith(PREFIX) and name.upper() == f"{PREFIX}GATEWAY__{key.upper()}"
    }


def _id(option: str, text: str) -> str:
    # with these come the words of all settings
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    from edge_agent.settings.field_types import Id  # noqa: PLC0415

    try:
        return str(TypeAdapter(Id).validate_python(text))
    except ValidationError as error:
        stop(f"{option}: {error.errors()[0]['msg'].removeprefix('Value error, ')}")


def _what_is_owed(owed: "Outstanding") -> str:
    parts = [
        f"{count} reading{'s' * (count > 1)} to {name}" for name, count in owed.readings.items() if count
    ]
    if owed.losses:
        parts.append(f"{owed.losses} declared losses")
    return (
        f"under the old name it still owes {', '.join(parts)}; start the agent and let it send them, or "
        "change outbox.path to begin anew without them, which leaves the old file as it is"
    )
