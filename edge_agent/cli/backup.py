"""``edge-agent backup``: the gateway in one file, to be restored on another."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent import __version__
from edge_agent.cli.options import CONFIG, ConfigFile, loaded
from edge_agent.cli.say import say
from edge_agent.cli.verb_exit import stop
from edge_agent.text.language import tr

if TYPE_CHECKING:
    from edge_agent.settings.model import Config


def backup(
    file: Annotated[Path, typer.Argument(help=tr("The file to write, such as gw-01.tar.gz."))],
    config: ConfigFile = CONFIG,
    outbox: Annotated[bool, typer.Option("--outbox", help=tr("With the outbox: all readings kept."))] = False,  # noqa: FBT002 - an option
) -> None:
    """Write the configuration folder with all secrets into one file.

    The agent may run meanwhile. Whoever has the file has the secrets: only its owner may read it.

    Example: sudo edge-agent backup --outbox gw-01.tar.gz
    """
    # what only this verb needs
    from edge_agent.clock import SystemClock  # noqa: PLC0415
    from edge_agent.onsite.backup import BackupError, Label, write  # noqa: PLC0415
    from edge_agent.outbox.store import OutboxError  # noqa: PLC0415

    found = loaded(config)
    clock = SystemClock(found.clock.trust)
    made = clock.wall_ms() if clock.trusted() else None
    label = Label(found.gateway.site, found.gateway.id, __version__, config.name, made, outbox)
    folder = config.absolute().parent
    try:
        write(file, label, folder, found.outbox.path if outbox else None, _progress)
    except (BackupError, OutboxError) as error:
        stop(str(error))
    for path in _elsewhere(found, folder):
        say(
            tr("{path} is not in it, being outside of {folder}; keep a copy", path=path, folder=folder),
            error=True,
            filled=True,
        )
    size = file.stat().st_size / 1e6
    say(
        tr(
            "{file}: {size:.1f} MB. It holds secrets: keep it where only you can read it.",
            file=file,
            size=size,
        )
    )


def _progress(share: float) -> None:
    if os.isatty(2):
        say(
            "\r" + tr("copying the outbox: {share:.0%}", share=share),
            error=True,
            end="\n" if share >= 1 else "",
        )


def _elsewhere(found: "Config", folder: Path) -> list[Path]:
    files = [file for up in found.uplink.values() for file in (up.ca, up.cert, up.key) if file is not None]
    return [file for file in files if not file.absolute().is_relative_to(folder)]
