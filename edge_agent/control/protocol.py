"""What both ends of the control socket agree on.

A request is one line, ``{"v": 1, "id": "a", "verb": "status", "args": {}}``. It is answered with any number
of lines ``{"v": 1, "id": "a", "progress": {..}}``, then one with ``"ok": {..}`` or ``"error": "why"``. The
next request may follow then; whoever goes before that, or talks meanwhile, ends what was asked for.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.driver_kit.text_pattern import form

VERSION = 1
LONGEST_REQUEST = 65_536  # bytes of a line
LONGEST_ANSWER = 16_000_000  # 500 devices with 40 channels each take 2 MB
GROUP = "edge-agent"
"""The group whose members may ask the service."""
LEASE_S = 600.0
"""The longest that a port is lent."""

STRICT = ConfigDict(extra="forbid", frozen=True, defer_build=True)
"""Of a request, and of the arguments of each verb. Deferred: most agents are asked few of them."""

Person = Annotated[
    str, Field(max_length=100), form(r"[\w. -]+", "is no name; write letters, digits, dots, spaces and -")
]
"""Who asks for something. It stands in the log."""

_NAME = "control.sock"


class Request(BaseModel):
    """What is asked. ``args`` are the verb's own."""

    model_config = STRICT

    v: Literal[1]
    id: Annotated[str, Field(max_length=64)] = ""
    verb: Annotated[str, Field(max_length=64)]
    args: dict[str, Any] = Field(default_factory=dict)


class RefusedError(Exception):
    """What was asked for cannot be done. The message says why, and what to do instead."""


def socket_paths() -> list[Path]:
    """Return where an agent's socket may be: the service's, then that of an agent which this user started.

    ``$EDGE_AGENT_SOCKET`` names another place, for agents and those who ask them.
    """
    if named := os.environ.get("EDGE_AGENT_SOCKET"):
        return [Path(named)]
    if given := os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]:
        return [Path(given, _NAME)]
    found = [Path("/run/edge-agent", _NAME)]
    if os.geteuid() and (own := os.environ.get("XDG_RUNTIME_DIR")):
        found.append(Path(own, "edge-agent", _NAME))
    return found
