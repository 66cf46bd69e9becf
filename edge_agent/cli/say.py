"""How a verb speaks: nothing that it tells of, a device, a file or a name, can steer the terminal."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from edge_agent.shown import plain


def say(text: str, *, error: bool = False, end: str = "\n") -> None:
    """Print a text for a person, on stdout or else on stderr."""
    print(plain(text), end=end, file=sys.stderr if error else sys.stdout, flush=True)


def tell(told: Mapping[str, Any]) -> None:
    """Print a JSON object on a line of its own, for a program."""
    say(json.dumps(told, ensure_ascii=False))
