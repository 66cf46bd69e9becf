"""Where device profiles are found, and how one is read.

A profile is a TOML file that describes a device model to its driver. It comes with a package, by an
``edge_agent.profiles`` entry point whose name is the driver and whose value is the package that holds
the files; or it is the site's own, ``/etc/edge-agent/profiles/<driver>/<name>.toml``, which takes the
place of a packaged one of that name; or it is named by its path.
"""

import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ValidationError

from edge_agent.driver_kit.text_pattern import form
from edge_agent.settings.error import Problem
from edge_agent.settings.line_numbers import element_lines, line_of, locate
from edge_agent.settings.validation_errors import dotted, findings
from edge_agent.text.suggestion import did_you_mean

GROUP = "edge_agent.profiles"
FOLDER = Path("/etc/edge-agent/profiles")
"""The site's own profiles, a folder for each driver. ``$EDGE_AGENT_PROFILES`` names another one."""

_LARGEST = 1_000_000  # bytes; a large profile has a fiftieth of it
_LINE = re.compile(r" \(at line (\d+), column \d+\)$")

ChannelName = Annotated[
    str, form(r"[a-z][a-z0-9_]*", "is no channel name; write small letters, digits and _, a letter first")
]
FactoryFormat = Annotated[
    str, form(r"|[1-9][0-9]* [78][NEO][12]", "is no serial format; write speed and format, such as 9600 8N1")
]
"""A serial format such as ``9600 8N1``; "" where the source of a profile does not tell it."""

P = TypeVar("P", bound=BaseModel)


class ProfileError(ValueError):
    """A profile cannot be used: a person must act. ``problems`` holds all that is wrong with it."""

    def __init__(self, name: str, *problems: Problem) -> None:
        self.problems = problems
        more = len(problems) - 1
        others = f" ({more} more: `edge-agent profile test {problems[0].file}`)" if more else ""
        super().__init__(f"profile {name!r}: {problems[0]}{others}")


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """Where a profile comes from. ``own``: from the site, not from a package; ``replaces`` a packaged one."""

    path: Traversable
    own: bool = False
    replaces: bool = False

    @property
    def note(self) -> str:
        """Say that it is the site's own, which people must see wherever it is used; "" for a packaged one."""
        if not self.own:
            return ""
        return f"the site's own, {self.path}" + (", in place of the built-in one" if self.replaces else "")


@cache
def _packaged(driver: str) -> dict[str, ProfileFile]:
    """Return what the installed packages have. The first package to name one wins."""
    found: dict[str, ProfileFile] = {}
    for entry in entry_points(group=GROUP, name=driver):
        for file in files(entry.value).iterdir():
            if file.name.endswith(".toml"):
                found.setdefault(file.name.removesuffix(".toml"), ProfileFile(file))
    return found


def _site() -> Path:
    return Path(os.environ.get("EDGE_AGENT_PROFILES") or FOLDER)


def _own(driver: str) -> Iterator[Path]:
    folder = _site() / driver
    try:
        # editors keep unfinished copies beside a file, under names that begin with a dot
        yield from (file for file in folder.iterdir() if file.suffix == ".toml" and file.name[0] != ".")
    except FileNotFoundError:
        return
    except OSError as error:
        # not left out: a profile in there may be meant to replace one of the same name
        wrong = f"cannot be read ({error.strerror})"
        raise ProfileError(
            driver, Problem(str(folder), 0, "", wrong, "let the agent's user read it")
        ) from None


def find_profiles(driver: str) -> dict[str, ProfileFile]:
    """Return a driver's profiles by name, in the order of their names.

    Raises:
        ProfileError: the site's own cannot be read.
    """
    packaged = _packaged(driver)
    own = {file.stem: ProfileFile(file, own=True, replaces=file.stem in packaged) for file in _own(driver)}
    return dict(sorted((packaged | own).items()))


def find_profile(driver: str, name: str) -> ProfileFile:
    """Return where a profile is. A name with a slash in it is a file's path.

    Raises:
        ValueError: there is no such profile; the message names the nearest ones.
    """
    if "/" in name:
        return ProfileFile(Path(name), own=True)
    known = find_profiles(driver)
    if name not in known:
        hint = did_you_mean(name, known, "`edge-agent drivers` lists them", most=3, cutoff=0.4)
        if (stray := _site() / f"{name}.toml").is_file():
            hint = f"move {stray} into the driver's folder there, {driver}"
        raise ValueError(f"there is no profile {name!r}; {hint}")
    return known[name]


def profile_note(driver: str, name: object) -> str:
    """Say that a device's profile is the site's own; "" for a packaged one, or where a driver has none.

    Raises:
        ValueError: there is no such profile.
    """
    return find_profile(driver, name).note if name and isinstance(name, str) else ""


def profile_text(driver: str, name: str) -> str:
    """Return a profile's TOML text.

    Raises:
        ValueError: there is no such profile, or it cannot be read.
    """
    path = find_profile(driver, name).path
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        remedy = "give the path of a profile's file" if gone else "let the agent's user read it"
        raise ProfileError(
            name, Problem(str(path), 0, "", f"cannot be read ({error.strerror})", remedy)
        ) from None
    try:
        text = content.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError:
        raise ProfileError(name, Problem(str(path), 0, "", "is not UTF-8 text", "save it as UTF-8")) from None
    if len(content) > _LARGEST:
        raise ProfileError(
            name, Problem(str(path), 0, "", f"is larger than {_LARGEST} bytes", "give a profile")
        )
    return text


def profile_title(driver: str, name: str) -> str:
    """Return what people call a profile's device; its name, where it does not say.

    Raises:
        ValueError: there is no such profile, or it cannot be read.
    """
    return str(tomllib.loads(profile_text(driver, name)).get("title", name))


def read_profile(driver: str, name: str, model: type[P]) -> P:
    """Return a profile as its driver's model of one.

    Raises:
        ValueError: there is no such profile, or (ProfileError) it breaks a rule of the model; the message
            names the file, the line, the key and what to do.
    """
    path = str(find_profile(driver, name).path)
    read: P = _parsed(name, profile_text(driver, name), path, model)
    return read


@lru_cache(maxsize=256)  # opening a device, naming it and asking for its speed each read its profile
def _parsed(name: str, text: str, path: str, model: type[P]) -> P:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _LINE.search(str(error))
        wrong = "is not TOML: " + _LINE.sub("", str(error))
        line = int(place[1]) if place else 0
        raise ProfileError(
            name, Problem(path, line, "", wrong, 'correct this line, which should look like key = "text"')
        ) from None
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems = [
            Problem(path, _line(text, found.path), dotted(found.path), found.wrong, found.remedy)
            for found in findings(error, model)
        ]
        raise ProfileError(name, *sorted(problems, key=lambda problem: problem.line)) from None


def _line(text: str, place: tuple[str | int, ...]) -> int:
    """Return the line of a key. The elements of a list of tables have lines of their own."""
    match place:
        case (str(key), int(number), *_):
            lines = element_lines(text, key)
            return lines[number] if number < len(lines) else line_of(locate(text), (key,))
    return line_of(locate(text), place)
