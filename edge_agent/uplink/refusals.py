"""A message that the broker does not take: is it the reading's fault, or the uplink's? Pure."""

import logging
from typing import NamedTuple

log = logging.getLogger(__name__)

NOBODY = 0x10  # MQTT 5.0, 3.4.2.1: no matching subscribers
TOO_LARGE = 0x95  # MQTT 5.0, 2.4: Packet too large
_OF_THE_READING = frozenset({TOO_LARGE, 0x99})  # 0x99: Payload format invalid


class Refusal(NamedTuple):
    """A PUBACK with a failure: its reason code and name."""

    code: int
    name: str

    @property
    def of_the_reading(self) -> bool:
        """Whether this very message can never be taken; else the uplink is to blame (ACL, quota, unknown)."""
        return self.code in _OF_THE_READING

    @property
    def nobody(self) -> bool:
        """Whether the broker took it, and has nobody to give it to."""
        return self.code == NOBODY

    def problem(self, base: str, events: str = "") -> str:
        """Say what is wrong below a gateway's ``base``; of ``events`` where it is they alone."""
        if self.nobody:
            return f"nobody subscribes to what is sent below {base}; it waits (hold_without_subscriber)"
        if events:
            return f"the broker refuses events ({self.name}); allow us to write {events}"
        return f"the broker refuses messages ({self.name}); check ACL and quota for {base}"
