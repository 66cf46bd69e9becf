"""``edge-agent restore``: a gateway as it was, from its backup."""

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.options import CONFIG
from edge_agent.cli.say import say
from edge_agent.cli.verb_exit import stop
from edge_agent.settings.error import SettingsError
from edge_agent.text.language import tr

if TYPE_CHECKING:
    from edge_agent.onsite.backup import Label


def restore(
    file: Annotated[Path, typer.Argument(help=tr("What edge-agent backup wrote."))],
    folder: Annotated[Path, typer.Option(help=tr("The configuration's folder."))] = CONFIG.parent,
    *,
    force: Annotated[
        bool, typer.Option("--force", help=tr("Move existing files aside, and replace them."))
    ] = False,
) -> None:
    """Restore the configuration and the outbox from a backup, on this gateway or a new one.

    The agent must be stopped. Readings that are made from now on are numbered in a new epoch.

    Example: sudo edge-agent restore gw-01.tar.gz
    """
    from edge_agent.onsite.backup import BackupError, opened  # noqa: PLC0415 - only this verb needs it
    from edge_agent.outbox.store import OutboxError  # noqa: PLC0415 - the same

    before = _aside(folder)
    try:
        with opened(file) as (label, _):
            pass
        if (folder / label.config).exists() and not force:
            stop(f"{folder / label.config} is there; with --force, {folder} is set aside as {before}")
        if before.exists():
            stop(f"{before} is there from an earlier time; look at it, and remove it")
        _put(file, label, folder, force=force)
    except (BackupError, OutboxError) as error:
        stop(str(error))
    except OSError as error:
        stop(f"{error.filename}: {error.strerror}; run this as root")
    say(
        tr("{site}/{gateway} is back in {folder}", site=label.site, gateway=label.gateway, folder=folder)
        + (tr(", with its outbox") if label.has_outbox else "")
    )
    _judge(folder / label.config)
    say(tr("Start the agent: sudo systemctl start edge-agent"))


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.before")


def _put(file: Path, label: "Label", folder: Path, *, force: bool) -> None:
    """Lay everything out beside its place first; then two renames put it there."""
    from shutil import rmtree  # noqa: PLC0415 - only this verb needs it

    from edge_agent.onsite.backup import opened, take_outbox, unpack  # noqa: PLC0415 - the same
    from edge_agent.outbox import copying  # noqa: PLC0415 - the same

    fresh = folder.with_name(f"{folder.name}.new")
    if fresh.exists():
        rmtree(fresh)  # what was interrupted
    try:
        with opened(file) as (_, tar):
            unpack(tar, fresh)
        if label.has_outbox:
            path = _outbox_of(fresh / label.config)
            copying.judge(path, over=force)
            path.parent.mkdir(parents=True, exist_ok=True)
            copy = path.with_name(f"{path.name}.restored")
            copy.unlink(missing_ok=True)
            try:
                with opened(file) as (_, tar):
                    take_outbox(tar, copy)
                copying.put(copy, path, over=force)
            finally:
                copy.unlink(missing_ok=True)
        if folder.exists():
            folder.rename(_aside(folder))
        fresh.rename(folder)
    finally:
        if fresh.exists():
            rmtree(fresh)


def _outbox_of(config: Path) -> Path:
    """Say where the outbox belongs, also where the rest of the file cannot be used here."""
    from edge_agent.settings.model import Outbox  # noqa: PLC0415 - only this verb needs it

    try:
        table = tomllib.loads(config.read_text("utf-8-sig")).get("outbox", {})
        return Path(table.get("path", Outbox().path))
    except (ValueError, TypeError, AttributeError):
        stop(f"{config.name} in the backup is not TOML; the backup was made of a broken configuration")


def _judge(config: Path) -> None:
    from edge_agent.settings.load import load  # noqa: PLC0415 - only this verb needs it

    try:
        load(config)
    except SettingsError as error:
        stop(f"but it cannot be used here yet:\n{error}", code=os.EX_CONFIG)
