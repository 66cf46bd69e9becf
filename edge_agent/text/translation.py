"""Say in another language what the agent says in English: problems, findings, errors.

They stand in English in logs, in JSON and on the control socket, so that one can search for them, and are
put into words again where a person reads them. The catalogue has each with its values in braces; a text that
is in none of these forms stays as it is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from string import Formatter

from edge_agent.text.language import OWN, TOLD, Words

_ASIDES = ("; ", ": ")
"""What stands between a problem and its remedy, and between a place and what is wrong there."""

_CUT = re.compile("|".join(_ASIDES))

_LONGEST, _MOST_ASIDES = 400, 6
"""A line with more letters or asides is shown as it is: what a file may say could be made to take long."""

_ANY, _WITHIN = r".+?", r"(?:(?![;:] ).)+?"
"""A value, and one in which no aside stands: that is what is looked for first."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A text with values in it.

    ``longest`` stands in each text of this form, and is looked for first; ``fixed`` letters are no values.
    """

    longest: str
    fixed: int
    narrow: re.Pattern[str]
    wide: re.Pattern[str]
    told: str


def translated(text: str, to: Words = OWN) -> str:
    """Return a text of the agent's, line by line, in a language; what is not known stays in English."""
    if not _known(to):
        return text
    lines = text.split("\n")
    return "\n".join((_is_short(line) and _said(line, to)) or line for line in lines)


def _is_short(line: str) -> bool:
    return len(line) <= _LONGEST and sum(map(line.count, _ASIDES)) <= _MOST_ASIDES


def _said(text: str, to: Words) -> str | None:
    bare = text.strip()
    if not bare:
        return None
    translation = _whole(bare, to)
    if translation is not None:
        return text.replace(bare, translation)
    for head, aside, rest in _halves(text, to):
        parts = _said(head, to) if " " in head else None, _said(rest, to)  # one word there is a name
        if any(parts):
            return f"{parts[0] or head}{aside}{parts[1] or rest}"
    return _filled(bare, to, narrow=False)


def _whole(text: str, to: Words) -> str | None:
    return _known(to).get(text) or _filled(text, to, narrow=True)


def _halves(text: str, to: Words) -> Iterator[tuple[str, str, str]]:
    """Yield where a text may be cut, first where a whole one begins: that may have an aside within it."""
    for cut in _CUT.finditer(text):
        if _whole(text[cut.end() :], to):
            yield text[: cut.start()], cut[0], text[cut.end() :]
            break
    yield from (text.partition(aside) for aside in _ASIDES if aside in text)


def _filled(text: str, to: Words, *, narrow: bool) -> str | None:
    for form in _forms(to):
        pattern = form.narrow if narrow else form.wide
        if form.longest in text and (found := pattern.fullmatch(text)):
            values = {name: _value(value, to) for name, value in found.groupdict().items()}
            return form.told.format(**values)
    return None


def _value(text: str, to: Words) -> str:
    """A single word is a name of the site's; several may be said by the agent, too."""
    return _said(text, to) or text if " " in text else text


@cache
def _known(to: Words) -> dict[str, str]:
    """Return the texts without values."""
    return {_bare(text): _bare(told) for text, told in to.within(TOLD).items() if not _names(text)}


@cache
def _forms(to: Words) -> tuple[_Form, ...]:
    """Return the texts with values, those first that leave the least open."""
    made = [_form(text, told) for text, told in to.within(TOLD).items() if _names(text)]
    return tuple(sorted(made, key=lambda form: (-form.fixed, form.wide.pattern)))


def _form(text: str, told: str) -> _Form:
    literals = [literal for literal, _, _, _ in Formatter().parse(text)]
    narrow, wide = re.compile(_pattern(text, _WITHIN)), re.compile(_pattern(text, _ANY))
    return _Form(max(literals, key=len), sum(map(len, literals)), narrow, wide, told)


def _pattern(text: str, value: str) -> str:
    pattern, seen = "", set[str]()
    for literal, name, _, _ in Formatter().parse(text):
        pattern += re.escape(literal)
        if name:
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{value})"
            seen.add(name)
    return pattern


def _bare(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")


def _names(text: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(text) if name]
