"""A driver's page and its wiring, from the README that lies beside its code: there without a network."""

import asyncio
import re
from functools import lru_cache
from itertools import pairwise

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from edge_agent import registry
from edge_agent.console.page import Pages
from edge_agent.console.sessions import Session

_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_OUTSIDE = ("https://", "http://")


class DriverPage:
    """The pages of all drivers."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def show(self, request: Request, session: Session) -> Response:
        """Show one."""
        name = request.path_params["name"]
        try:
            text = await asyncio.to_thread(_readme, name)
        except (registry.UnknownDriverError, OSError):
            raise HTTPException(404) from None
        shown = await asyncio.to_thread(as_html, text)
        return self._pages.answer(request, "driver.html", session=session, driver=name, shown=shown)


def wiring(name: str) -> str:
    """Return how a driver's devices are connected, as HTML; "" where its page does not say. It blocks.

    Raises:
        UnknownDriverError: there is no such driver.
    """
    try:
        _, *parts = _HEADING.split(_readme(name))
    except OSError:  # somebody else's driver, without a page
        return ""
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    return as_html(sections.get("Wiring", ""))


def _readme(name: str) -> str:
    return registry.resource(registry.load(name), "README.md")


@lru_cache(maxsize=8)
def as_html(text: str) -> str:
    """Turn Markdown into HTML. HTML in it stays text; links lead to other sites only, or nowhere.

    Each heading gets what stands in its first code as its id, such as a profile's name.
    """
    from markdown_it import MarkdownIt  # noqa: PLC0415 - 3 MB, and most never look

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for before, token in pairwise(tokens):
        children = token.children or []
        if before.type == "heading_open" and (code := [one for one in children if one.type == "code_inline"]):
            before.attrSet("id", code[0].content)
        for child in children:
            if child.type == "link_open":
                if not str(child.attrGet("href")).startswith(_OUTSIDE):
                    child.attrs.pop("href")
                else:
                    child.attrSet("rel", "noreferrer")
    return str(markdown.renderer.render(tokens, markdown.options, {}))
