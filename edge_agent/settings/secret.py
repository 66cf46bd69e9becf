"""Where the configuration's secrets are: files named by it, outside of it."""

import os
from pathlib import Path
from typing import Any

FOLDER = Path("/etc/edge-agent/secrets")
"""Where a secret is looked up after ``$CREDENTIALS_DIRECTORY``, in which systemd hands them over."""

_LONGEST = 65_536


def look_up(name: str) -> str:
    """Return a secret by its name, without the newline that an editor leaves at its end.

    Raises:
        ValueError: there is none, or it cannot be used. The message names the places, never the secret.
    """
    if not is_name(name):
        raise ValueError("is not a secret's name; write the name of a file, without its folder")
    handed = os.environ.get("CREDENTIALS_DIRECTORY")
    folders = [Path(handed), FOLDER] if handed else [FOLDER]
    for file in (folder / name for folder in folders):
        try:
            with file.open("rb") as opened:
                content = opened.read(_LONGEST + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ValueError(
                f"secret {file} cannot be read ({error.strerror}); let the agent's user read it"
            ) from None
        return _text(file, content)
    tried = f"{handed or '$CREDENTIALS_DIRECTORY (not set)'} and {FOLDER}"
    raise ValueError(f"there is no secret {name!r} in {tried}; put it there as a file of that name")


def is_name(name: str) -> bool:
    """Say whether it can be a secret's name: that of a file, and no way out of its folder."""
    return bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name


def _text(file: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        text = ""
    if not text or len(content) > _LONGEST or "\n" in text:
        raise ValueError(f"secret {file} is not one line of text; write the secret alone into it")
    return text


def text_or_secret(value: Any) -> Any:
    """Replace ``{ secret = "name" }`` by what it names; anything else stays as it is."""
    if not isinstance(value, dict):
        return value
    name = value.get("secret")
    if len(value) != 1 or not isinstance(name, str):
        raise ValueError('is neither text nor a secret; write { secret = "name" }')
    return look_up(name)
