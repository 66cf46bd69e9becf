"""The topics of the contract: which message each carries, and how it is published."""

from dataclasses import dataclass
from typing import Literal

from edge_agent.contract import messages

ROOT = "park/v1"
"""The root a gateway uses unless its uplink names another one."""

MONTH_S = 30 * 86_400
HEALTH_S = 60


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic below ``{root}/{site}/{gateway}/``. ``expiry_s`` holds under MQTT 5; None: never."""

    name: str
    message: type[messages.Message]
    says: str
    per_device: bool = True
    qos: Literal[0, 1] = 1
    retain: bool = False
    expiry_s: int | None = None

    @property
    def path(self) -> str:
        """The topic below the gateway's own, ``{device}`` standing for the id of a device."""
        return f"{self.name}/{{device}}" if self.per_device else self.name


TOPICS = (
    Topic(
        "status",
        messages.StatusMessage,
        "A gateway is here, was stopped, or is gone. The broker publishes the last one: it is the will.",
        per_device=False,
        retain=True,
        expiry_s=MONTH_S,
    ),
    Topic(
        "meta",
        messages.MetaMessage,
        "What a device is: its channels with their units, at each connect and when it changes.",
        retain=True,
        expiry_s=MONTH_S,
    ),
    Topic(
        "state",
        messages.StateMessage,
        "A device's last live values and its availability, at most once a second.",
        retain=True,
        expiry_s=MONTH_S,
    ),
    Topic("data", messages.DataMessage, "Readings as they are kept, a few to a message."),
    Topic(
        "history",
        messages.DataMessage,
        "Readings that are older than the connection, many to a message, in the order they were kept.",
    ),
    Topic("loss", messages.LossMessage, "Readings that are given up for good, and why."),
    Topic(
        "health",
        messages.HealthMessage,
        "The agent's own numbers, each half minute.",
        per_device=False,
        qos=0,
        expiry_s=HEALTH_S,
    ),
)
"""All topics that a gateway writes."""
