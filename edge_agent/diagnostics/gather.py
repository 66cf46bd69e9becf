"""Gather what helps: versions, configuration, doctor's findings, forecast, status, log, losses."""

import asyncio
import json
import os
import platform
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from edge_agent import __version__
from edge_agent.diagnostics.scrub import without_secrets
from edge_agent.diagnostics.secrets import MOST_BYTES, files, parsed
from edge_agent.doctor.examine import examine
from edge_agent.settings.error import SettingsError
from edge_agent.settings.load import load_what_runs
from edge_agent.settings.model import Config

_LOSSES = 1000
_LOG_LINES = 5000
_WITHIN_S = 20.0
_UNIT = "edge-agent"


def pieces(config: Path, *, log: Path | None, online: bool) -> Iterator[tuple[str, str]]:
    """Return each piece with its name. One that cannot be had says why."""
    yield "versions.json", _tried(_versions)
    for file in files(config):
        yield f"config/{file.name}.json", _tried(partial(_configured, file))
    yield "doctor.json", _tried(lambda: [asdict(one) for one in examine(config, online=online)])
    yield "status.json", _tried(_status)
    yield "log.txt", _log(log)
    try:
        loaded = load_what_runs(config).config
    except SettingsError as error:
        yield "configuration-problems.txt", str(error)
        return
    yield "plan.json", _tried(lambda: _forecast(loaded))
    yield "losses.json", _tried(lambda: _losses(loaded.outbox.path))


def _tried(made: Callable[[], Any]) -> str:
    try:
        told = made()
    except Exception as error:  # noqa: BLE001 - what is wrong may be wrong here too; the other pieces still help
        told = {"not_there": f"{type(error).__name__}: {error}"}
    return json.dumps(told, ensure_ascii=False, indent=1, default=str)


def _configured(file: Path) -> Any:
    return without_secrets(parsed(file, strict=True))


def _versions() -> dict[str, Any]:
    return {
        "edge-agent": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "system": _os_name(),
        "variables": sorted(
            name for name in os.environ if name.startswith("EDGE_AGENT")
        ),  # never their values
    }


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _status() -> dict[str, Any]:
    from edge_agent.control.client import ask  # noqa: PLC0415 - only for this

    return asyncio.run(ask("status"))


def _log(file: Path | None) -> str:
    if file is not None:
        try:
            with file.open("rb") as opened:
                opened.seek(max(0, file.stat().st_size - MOST_BYTES))
                return opened.read(MOST_BYTES).decode("utf-8", "replace")
        except OSError as error:
            return f"{file} cannot be read ({error.strerror})"
    program = shutil.which("journalctl")
    if program is None:
        return "there is no journal here; give a log file with --log"
    words = (program, "-u", _UNIT, "-n", str(_LOG_LINES), "--no-pager", "-o", "short-iso")
    try:
        said = subprocess.run(words, capture_output=True, check=False, timeout=_WITHIN_S)  # noqa: S603 - fixed words
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"journalctl cannot be asked ({error})"
    return (said.stdout + said.stderr)[-MOST_BYTES:].decode("utf-8", "replace")


def _forecast(config: Config) -> dict[str, Any]:
    from edge_agent.forecast.all_figures import figures  # noqa: PLC0415 - only for this

    return figures(config)


def _losses(outbox: Path) -> list[dict[str, Any]]:
    """Read the last entries of the ledger, beside a running agent."""
    with closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True, timeout=5)) as db:
        db.row_factory = sqlite3.Row
        rows = db.execute("SELECT * FROM loss ORDER BY rowid DESC LIMIT ?", (_LOSSES,)).fetchall()
    return [dict(row) for row in rows]
