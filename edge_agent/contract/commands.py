"""What a gateway can be asked to do, and the arguments of each command. None of them actuates anything."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Args(BaseModel):
    """What all arguments share: one that is not known is a mistake, and none is guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NoArgs(Args):
    """Nothing to be said."""


class LogLevelArgs(Args):
    """How much the agent writes to its log, until it is started again."""

    level: Literal["debug", "info", "warning", "error"]


COMMANDS: dict[str, type[Args]] = {
    "ping": NoArgs,
    "identify": NoArgs,
    "log-level": LogLevelArgs,
}
"""By name."""
