"""The topics of the contract: which message each carries, and how it is published."""

from dataclasses import dataclass
from typing import Literal

from edge_agent.contract import messages

ROOT = "park/v1"
"""The root a gateway uses unless its uplink names another one."""

MONTH_S = 30 * 86_400
HEALTH_S = 60
REPLY_S = 300


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic below ``{root}/{site}/{gateway}/``. ``expiry_s`` holds under MQTT 5; None: never.

    ``below`` is what the last level names, "" where there is none. ``action`` is the gateway's; what it
    receives is answered on the topic ``reply``.
    """

    name: str
    message: type[messages.Message]
    says: str
    below: Literal["", "device", "name"] = "device"
    qos: Literal[0, 1] = 1
    retain: bool = False
    expiry_s: int | None = None
    action: Literal["send", "receive"] = "send"
    reply: str = ""

    @property
    def path(self) -> str:
        """The topic below the gateway's own, ``{device}`` standing for the id of a device."""
        return f"{self.name}/{{{self.below}}}" if self.below else self.name


TOPICS = (
    Topic(
        "status",
        messages.StatusMessage,
        "A gateway is here, was stopped, or is gone. The broker publishes the last one: it is the will.",
        below="",
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
        "event",
        messages.EventMessage,
        "A device went or came back, a limit was passed, a device was taken away, the agent was started.",
    ),
    Topic(
        "health",
        messages.HealthMessage,
        "The agent's own numbers, each half minute.",
        below="",
        qos=0,
        expiry_s=HEALTH_S,
    ),
    Topic(
        "cmd",
        messages.CmdMessage,
        "A request to a gateway that takes commands. Retained ones are refused.",
        below="name",
        action="receive",
        reply="reply",
    ),
    Topic(
        "reply",
        messages.ReplyMessage,
        "The answer to a command that named no Response Topic.",
        below="name",
        expiry_s=REPLY_S,
    ),
)
"""All topics of a gateway."""
