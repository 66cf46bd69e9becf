"""The last warnings and errors of the agent's log, for operators, with what docs/operate.md says of them."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from edge_agent.console.overview import Ask
from edge_agent.console.page import Pages, language_of
from edge_agent.console.remedies import remedies, remedy
from edge_agent.console.sessions import Session
from edge_agent.control.protocol import RefusedError


class LogPage:
    """Shows it."""

    def __init__(self, ask: Ask, pages: Pages) -> None:
        self._ask, self._pages = ask, pages

    async def show(self, request: Request, session: Session) -> Response:
        """Show all that are kept, the newest first."""
        try:
            told, refused = await self._ask("log", {}), ""
        except RefusedError as error:
            told, refused = {"lines": [], "timezone": "UTC"}, str(error)

        def laid_out() -> Response:
            known = remedies(language_of(request))
            lines = [(line, remedy(line["text"], known)) for line in told["lines"]]
            return self._pages.answer(
                request, "log.html", session=session, lines=lines, timezone=told["timezone"], refused=refused
            )

        return await asyncio.to_thread(laid_out)
