"""Which gateways are here, by the rules of their sessions."""

from collections import deque

from edge_agent.contract.messages import StatusMessage

_PAST = 8  # epochs of one gateway; a will is late by minutes, not by epochs


class Presence:
    """One gateway's latest word about itself.

    A will may be late: the broker publishes it after the gateway is back. Within one epoch what belongs to an
    earlier session than the highest that was online is ignored. Another epoch's ``online`` always counts;
    what is not online does so unless that epoch was left before.
    """

    __slots__ = ("_highest", "_past", "latest")

    def __init__(self, first: StatusMessage) -> None:
        self.latest = first
        self._highest = first.session if first.state == "online" else 0
        self._past: deque[str] = deque(maxlen=_PAST)

    def hear(self, told: StatusMessage) -> bool:
        """Take the next one; return False for one that is out of date."""
        if told.epoch == self.latest.epoch:
            if told.session < self._highest:
                return False
        else:
            if told.state != "online" and told.epoch in self._past:
                return False
            self._past.append(self.latest.epoch)
            self._highest = 0
        if told.state == "online":
            self._highest = max(self._highest, told.session)
        self.latest = told
        return True
