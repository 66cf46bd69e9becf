"""What is said of something that is not in the configuration any more: who removed it, and the way back."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from edge_agent.console.known import Known, known
from edge_agent.console.overview import Ask
from edge_agent.console.page import Pages
from edge_agent.console.sessions import Session
from edge_agent.control.protocol import RefusedError


async def gone(  # noqa: PLR0913 - all that such a page is made of
    pages: Pages, ask: Ask, request: Request, session: Session, what: tuple[str, str], *, form: bool = False
) -> Response:
    """Say it. ``what`` is a device, a bus or a channel, and its id; ``form``: one was filled in for it.

    Raises:
        RefusedError: with a form, which is to be kept until there is something for it again.
    """
    kind, id_ = what
    try:
        removal = _removal(await known(ask), kind, id_)
    except RefusedError:  # the agent was started without a file
        removal = None
    if form and removal is not None:
        by = removal["by"]
        raise RefusedError(f"{id_} was removed by {by} meanwhile; undo that first, or leave this")
    if form:
        raise RefusedError(f"{id_} is not there any more; add it once more, or leave this")
    return pages.answer(request, "gone.html", 404, session=session, kind=kind, id=id_, removal=removal)


def _removal(now: Known, kind: str, id_: str) -> Mapping[str, Any] | None:
    """Return the change that removed it, if it was removed here."""
    for change in now.changes:
        words = [word for word in change["words"] if word.startswith(f"{kind} {id_} ")]
        if words and change["outcome"] == "applied":
            return change if words[0].endswith(" removed") else None
    return None
