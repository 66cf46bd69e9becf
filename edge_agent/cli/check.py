"""``edge-agent check``: whether a configuration can be used."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.options import CONFIG, ConfigFile
from edge_agent.cli.say import say, tell
from edge_agent.cli.verb_exit import stop
from edge_agent.text.language import plural, tr

if TYPE_CHECKING:
    from edge_agent.settings.error import Problem
    from edge_agent.settings.load import Loaded


def check(
    config: ConfigFile = CONFIG,
    *,
    as_json: Annotated[bool, typer.Option("--json", help=tr("For programs."))] = False,
) -> None:
    """Check a configuration: show OK, or every mistake with its line and what to do.

    Ends with 0 when it can be used, 78 when not.

    Example: edge-agent check --config agent.toml
    """
    from edge_agent.profile import profile_note  # noqa: PLC0415 - not for --help
    from edge_agent.settings.error import SettingsError  # noqa: PLC0415 - as above
    from edge_agent.settings.load import load_what_runs  # noqa: PLC0415 - as above

    try:
        loaded = load_what_runs(config)
        if problems := (*loaded.left_out, *_certificates(loaded)):
            raise SettingsError(problems)  # noqa: TRY301 - told as those that loading finds
        found = loaded.config
    except SettingsError as error:
        if as_json:
            tell({"ok": False, "problems": [asdict(problem) for problem in error.problems]})
            raise typer.Exit(os.EX_CONFIG) from None
        stop(str(error), code=os.EX_CONFIG)
    if as_json:
        tell({"ok": True, "problems": []})
        return
    for name, device in found.device.items():
        if note := profile_note(device.driver, profile := device.settings.get("profile")):
            say(tr("device.{name}: profile {profile!r} is {note}", name=name, profile=profile, note=note))
    counts = {
        "devices": plural(len(found.device), "{number} device", "{number} devices"),
        "buses": plural(len(found.bus), "{number} bus", "{number} buses"),
        "uplinks": plural(len(found.uplink), "{number} uplink", "{number} uplinks"),
    }
    say(tr("OK: {devices} on {buses}, {uplinks}", **counts))


def _certificates(loaded: "Loaded") -> "Iterator[Problem]":
    """Make what TLS will need, as the agent does when it connects, and find what cannot be used."""
    with_tls = {
        name: uplink
        for name, uplink in loaded.config.uplink.items()
        if any(server.tls for server in uplink.servers)
    }
    if not with_tls:
        return
    from edge_agent.settings.validation_errors import finding_of  # noqa: PLC0415 - as above
    from edge_agent.uplink.tls import context  # noqa: PLC0415 - OpenSSL only where it is used

    for name, uplink in with_tls.items():
        try:
            context(uplink)
        except OSError as error:
            key = str(error).split(maxsplit=1)[0]  # ca, cert or key
            yield loaded.problem(finding_of(("uplink", name, key), error))
