"""What a gateway can be asked to do, and the arguments of each command. None of them actuates anything."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.contract.messages import Count, Id, Seq


class Args(BaseModel):
    """What all arguments share: one that is not known is a mistake, and none is guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class NoArgs(Args):
    """Nothing to be said."""


class LogLevelArgs(Args):
    """How much the agent writes to its log, until it is started again."""

    level: Literal["debug", "info", "warning", "error"]


class RepublishArgs(Args):
    """Send again what is retained: the status, and what all devices are and say, or one.

    ``older``: also the descriptions that readings in the replay window were made under, not retained.
    """

    device: Id | None = None
    older: bool = False


class ReplayArgs(Args):
    """Send readings again that were acknowledged. The answer says up to which number it speaks."""

    device: Id
    epoch: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    from_seq: Seq
    to_seq: Seq


class ReplayResult(BaseModel):
    """What became of a replay: the answer speaks up to ``to_seq``, and is to be asked for more from there.

    ``queued``: how many readings come. ``pending``: ranges that are owed still, and come by themselves.
    ``unavailable``: ranges that never come, each with its reason.
    """

    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)

    to_seq: Seq
    queued: Count
    unavailable: list[tuple[Seq, Seq, str]]
    pending: list[tuple[Seq, Seq]]


class ReadArgs(Args):
    """Ask a device now. Only one that is asked over a line: the others speak when they want to."""

    device: Id


class SetIntervalArgs(Args):
    """Ask a device each so many seconds, until the agent is started again."""

    device: Id
    interval_s: Annotated[float, Field(ge=1, le=3600)]


COMMANDS: dict[str, type[Args]] = {
    "ping": NoArgs,
    "identify": NoArgs,
    "log-level": LogLevelArgs,
    "republish": RepublishArgs,
    "replay": ReplayArgs,
    "read": ReadArgs,
    "set-interval": SetIntervalArgs,
}
"""By name."""
