"""A page's HTML: a template, in the reader's language."""

import ctypes
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from edge_agent.console import sparks
from edge_agent.text import formatting
from edge_agent.text.language import LANGUAGES, Words, words
from edge_agent.text.translation import translated

LANGUAGE = "edge_agent_language"
"""The cookie that holds the language somebody chose."""


_GB = 1000  # in MB
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc


class Pages:
    """All templates. What is put into one is escaped there."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("pages")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {
            "languages": LANGUAGES,
            "with_unit": formatting.with_unit,
            "duration": formatting.duration,
            "moment": _moment,
            "local": _local,
            "grouped": _grouped,
            "bytes": _bytes,
            "spark_width": sparks.WIDTH,
            "spark_height": sparks.HEIGHT,
        }

    def render(self, name: str, language: str, **told: Any) -> str:
        """Return a template's HTML."""
        known: Words = words(language)
        compiled = len(self._templates.cache or ())
        html = self._templates.get_template(name).render(
            tr=known.tr,
            plural=known.plural,
            label=known.label,
            translated=partial(translated, to=known),
            listed=lambda texts: ", ".join(translated(text, known) for text in texts),
            language=language,
            **told,
        )
        if _trim is not None and len(self._templates.cache or ()) > compiled:
            _trim(0)  # what compiling freed lies between what stays: up to 1 MB, which glibc keeps otherwise
        return html

    def answer(self, request: Request, name: str, code: int = 200, /, **told: Any) -> HTMLResponse:
        """Return a template as the answer to a request."""
        values = {"session": None, "path": request.url.path} | told
        return HTMLResponse(self.render(name, language_of(request), **values), code)


def _local(ts: int, zone: str) -> str:
    """Write a time, given in ms, as the clocks of the site show it."""
    return datetime.fromtimestamp(ts / 1000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")


def _moment(ts: int) -> str:
    """Write a time, given in ms, as all logs do: in UTC."""
    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _grouped(number: int) -> str:
    """Write a large number so that its size is seen: 12,345."""
    return f"{number:,}"


def _bytes(megabytes: int) -> str:
    """Write how large something is: ``512 MB``, ``12.3 GB``."""
    return f"{megabytes} MB" if megabytes < _GB else f"{megabytes / _GB:.1f} GB"


def language_of(request: Request) -> str:
    """Return the language that somebody chose, else the first that the browser wants and we have."""
    chosen = request.cookies.get(LANGUAGE, "")
    wanted = [
        chosen,
        *(part.split(";")[0].strip() for part in request.headers.get("accept-language", "").split(",")),
    ]
    for tag in wanted:
        for language in LANGUAGES:
            if tag and (tag == language or tag.split("-")[0].lower() == language.split("_")[0]):
                return language
    return "en"
