"""Which secrets there are on this machine, so that they can be taken out of what is shown."""

import os
import tomllib
from pathlib import Path
from typing import Any

from edge_agent.diagnostics.scrub import called_secret, values_called_secret
from edge_agent.doctor.configuration import secret_names
from edge_agent.settings import secret
from edge_agent.settings.error import SettingsError
from edge_agent.settings.files import text_of

MOST_BYTES = 2_000_000
"""Of each file, and of each piece of what is gathered."""

_SHORTEST = 4  # letters of a variable's value that is taken for a secret: "1" stands everywhere


def secrets_of(config: Path) -> list[str]:
    """Return the secrets that may stand in what is shown: the file's, the folders', the environment's."""
    found = [told for name, told in os.environ.items() if called_secret(name) and len(told) >= _SHORTEST]
    tables = [parsed(file) for file in files(config)]
    found += values_called_secret(tables)
    handed = os.environ.get("CREDENTIALS_DIRECTORY")
    for folder in filter(None, (handed, str(secret.FOLDER))):
        for name in {*filter(secret.is_name, secret_names(tables)), *_names(Path(folder))}:
            found += _lines(Path(folder, name))
    return [text for text in found if text.strip()]


def files(config: Path) -> list[Path]:
    """Return the files of a configuration."""
    try:
        return [config, *sorted((config.parent / "conf.d").glob("*.toml"))]
    except OSError:  # doctor says that it may not be read
        return [config]


def _names(folder: Path) -> list[str]:
    try:
        return [file.name for file in folder.iterdir() if file.is_file()]
    except OSError:
        return []


def _lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as opened:
            text = opened.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    return [text.strip(), *(line.strip() for line in text.splitlines())]


def parsed(file: Path, *, strict: bool = False) -> dict[str, Any]:
    """Read a file without its comments, in which people leave passwords."""
    try:
        return tomllib.loads(text_of(file))
    except (SettingsError, ValueError, RecursionError):
        if strict:
            raise ValueError(f"{file} cannot be read as TOML, and is left out") from None
        return {}
