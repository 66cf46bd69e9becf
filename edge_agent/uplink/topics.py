"""Where messages go, below ``{root}/{site}/{gateway}/``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one gateway. ``base`` is ``{root}/{site}/{gateway}``.

    ``discovery`` is what those begin with that tell Home Assistant of the devices; "" where it is not told.
    """

    base: str
    discovery: str = ""

    @property
    def status(self) -> str:
        """Birth, will and planned stop."""
        return f"{self.base}/status"

    @property
    def health(self) -> str:
        """The agent's own numbers."""
        return f"{self.base}/health"

    @property
    def commands(self) -> str:
        """All requests to the gateway."""
        return f"{self.base}/cmd/#"

    def meta(self, device: str) -> str:
        """What a device is."""
        return f"{self.base}/meta/{device}"

    def state(self, device: str) -> str:
        """A device's last live values."""
        return f"{self.base}/state/{device}"

    def loss(self, device: str) -> str:
        """Declared permanent loss."""
        return f"{self.base}/loss/{device}"

    def event(self, device: str) -> str:
        """What people want to be told of."""
        return f"{self.base}/event/{device}"

    def readings(self, lane: str, device: str) -> str:
        """Live readings, or history."""
        return f"{self.base}/{'data' if lane == 'live' else 'history'}/{device}"
