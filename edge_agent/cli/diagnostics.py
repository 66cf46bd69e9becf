"""``edge-agent diagnostics``: one file for somebody who is to find out what is wrong."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import CONFIG, ConfigFile
from edge_agent.cli.say import say
from edge_agent.cli.verb_exit import stop
from edge_agent.text.language import tr


def diagnostics(
    target: Annotated[
        Path,
        typer.Argument(metavar="[FILE]", help=tr("What to write."), dir_okay=False),
    ] = Path("edge-agent-diagnostics.tar.gz"),
    config: ConfigFile = CONFIG,
    *,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=tr("A log file to include; default: the journal of the service.")),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help=tr("Do not connect to the brokers."))] = False,
) -> None:
    """Collect versions, configuration, findings of doctor, status, log and losses in one file, no secrets.

    Run it as root, or it holds what this user may see. Ends with 0, 2 when it cannot be written.

    Example: edge-agent diagnostics /tmp/gw-01.tar.gz --config agent.toml --offline
    """
    from edge_agent.clock import SystemClock  # noqa: PLC0415 - not for --help
    from edge_agent.diagnostics.gather import pieces  # noqa: PLC0415 - as above
    from edge_agent.diagnostics.pack import pack  # noqa: PLC0415 - as above
    from edge_agent.diagnostics.scrub import Scrub  # noqa: PLC0415 - as above
    from edge_agent.diagnostics.secrets import secrets_of  # noqa: PLC0415 - as above

    scrub = Scrub(secrets_of(config))
    now = SystemClock("always").wall_ms() / 1000
    try:
        names = pack(target, pieces(config, log=log, online=not offline), scrub, now)
    except OSError as error:
        stop(f"{target} cannot be written ({error.strerror}); name another file")
    for name in names:
        say(f"  {name}")
    say(
        tr(
            "written: {target}, {size:.0f} KB; look through it before you hand it on",
            target=target,
            size=target.stat().st_size / 1000,
        )
    )
