"""A two-wire adapter that hears itself. No I/O."""

from edge_agent.driver import Cut, Frame, Need, Skip


class PastEcho:
    """A cut that passes over the first echo of a request, wherever it begins, and then is the cut given.

    ``heard`` tells whether there was an echo.
    """

    def __init__(self, request: bytes, cut: Cut) -> None:
        self.heard = False
        self._request, self._cut = request, cut

    def __call__(self, heard: bytes) -> Frame | Need | Skip:
        """Cut what was heard so far."""
        if self.heard:
            return self._cut(heard)
        if heard.startswith(self._request):
            self.heard = True
            return Skip(len(self._request))
        found = self._cut(heard)
        if self._request.startswith(heard):  # the echo so far, or an answer that begins like the request
            wanted = found.size if isinstance(found, Need) else 0
            return Need(max(len(heard) + 1, min(wanted, len(self._request))))
        return found
