"""The catalogues of translations, in step with the code: ``make words`` adds what is new and says what lacks.

A text is in ``tr(...)`` or ``plural(...)``, in the code or in a page of the console; or it is the docstring
of a verb of the command line; or the agent says it in English first (told_texts.py). A catalogue begins with
a glossary, which stays as it is.
"""

import sys
from collections.abc import Iterator
from inspect import cleandoc
from io import BytesIO
from pathlib import Path
from string import Formatter
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po
from typer.main import get_command

from edge_agent import registry
from edge_agent.cli import app
from edge_agent.console.fields import models, settings_fields
from edge_agent.text.language import CATALOGUES, DOMAIN, TOLD
from hatch_build import compile_catalogues
from scripts.told_texts import told_texts

_KEYWORDS = {"tr": None, "plural": (2, 3)}
_METHODS = [("**.py", "python"), ("console/pages/**.html", "jinja2")]
_SOURCE = Path(__file__).parents[1] / "edge_agent"


def template() -> Catalog:
    """Return all texts that people read, without a translation."""
    found = Catalog(project=DOMAIN, domain=DOMAIN, fuzzy=False)
    for _, _, text, _, _ in sorted(
        extract_from_dir(_SOURCE, _METHODS, keywords=_KEYWORDS), key=lambda at: at[:2]
    ):
        found.add(text)
    for text in told_texts(_SOURCE):
        found.add(text, context=TOLD)
    for text in _of_drivers():
        found.add(text, context=TOLD)
    for text in _docstrings(get_command(app)):
        found.add(text)
    return found


def _of_drivers() -> Iterator[str]:
    """Return what drivers say of themselves, their models and their settings, as the console shows it."""
    for entry in registry.entries():
        if entry.driver is not None and entry.origin.startswith("smartpark"):
            yield entry.driver.title
            yield from (title for _, title in models(entry.name))
            for field in settings_fields(entry.name):
                yield from filter(None, (field.label, field.help))


def _docstrings(command: Any) -> Iterator[str]:  # typer's own kind, of which it has none in public
    if command.callback is not None and command.callback.__doc__:
        yield cleandoc(command.callback.__doc__)
    for _, below in sorted(getattr(command, "commands", {}).items()):
        yield from _docstrings(below)


def catalogues() -> dict[str, Path]:
    """Return the catalogue of each language."""
    return {path.parts[-3]: path for path in sorted(CATALOGUES.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))}


def read(language: str, path: Path) -> Catalog:
    """Read one catalogue."""
    return read_po(BytesIO(_parts(path)[1]), locale=language, domain=DOMAIN)


def _parts(path: Path) -> tuple[bytes, bytes]:
    """Return a catalogue's glossary, and the rest."""
    glossary, _, rest = path.read_bytes().partition(b"\n\n")
    return glossary, rest


def write(path: Path, catalogue: Catalog) -> None:
    """Write a catalogue, below the glossary that it has."""
    glossary, texts = _parts(path)[0], BytesIO()
    write_po(texts, catalogue, width=0, no_location=True, omit_header=True, sort_output=True)
    path.write_bytes(glossary + b"\n\n" + texts.getvalue())


def faults(catalogue: Catalog, wanted: Catalog) -> list[str]:
    """Say what is wrong with a catalogue: a text without translation, too many, or other ``{names}``."""
    told = {_key(message): message for message in catalogue if message.id}
    known = {_key(message) for message in wanted}
    wrong = [
        f"is not translated: {message.id!r}" for message in wanted if _lacks(told.get(_key(message)), message)
    ]
    wrong += [f"is in no code any more: {text!r}" for text in told if text not in known]
    wrong += [
        f"has other names in braces: {message.id!r}" for message in told.values() if not _same_names(message)
    ]
    return wrong


def _key(message: Message) -> tuple[object, str | None]:
    return message.id, message.context


def _lacks(message: Message | None, wanted: Message) -> bool:
    if not wanted.id:
        return False
    return message is None or message.fuzzy or not all(_texts(message.string))


def _same_names(message: Message) -> bool:
    if not all(_texts(message.string)):
        return True  # told otherwise
    wanted = {name for text in _texts(message.id) for name in _names(text)}
    return all(set(_names(text)) <= wanted for text in _texts(message.string)) and (
        wanted <= {name for text in _texts(message.string) for name in _names(text)}
    )


def _texts(of: object) -> tuple[str, ...]:
    return (of,) if isinstance(of, str) else tuple(of) if isinstance(of, tuple | list) else ("",)


def _names(text: str) -> Iterator[str]:
    try:
        return (name for _, name, _, _ in list(Formatter().parse(text)) if name)
    except ValueError:  # braces that name nothing, as in an example of TOML
        return iter(())


def main() -> int:
    """Bring each catalogue in step, and compile it; return 1 while something in it is not translated."""
    wanted, lacking = template(), 0
    for language, path in catalogues().items():
        catalogue = read(language, path)
        catalogue.update(wanted, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        write(path, catalogue)
        for wrong in faults(catalogue, wanted):
            print(f"{language}: {wrong}")
            lacking += 1
    compile_catalogues(_SOURCE.parent)
    print(f"{len(wanted)} texts, {lacking} to be translated")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
