"""Listening in on a port: all that passes in both directions, for record, replay and ``read -v``."""

from collections.abc import Callable
from typing import Literal

Direction = Literal["heard", "sent"]

Tap = Callable[[Direction, bytes], None]
"""Is called with each piece as it leaves or arrives, also with what is dropped later. It must be quick."""
