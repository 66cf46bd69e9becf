"""How a verb speaks: nothing that it tells of, a device, a file or a name, can steer the terminal."""

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

from edge_agent.text.formatting import plain


def say(text: str, *, error: bool = False, end: str = "\n", filled: bool = False) -> None:
    """Print a text for a person. ``filled``: a terminal's edge cuts no word in two."""
    stream = sys.stderr if error else sys.stdout
    if filled and stream.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(_filled(line, width) for line in text.split("\n"))
    print(plain(text), end=end, file=stream, flush=True)


def _filled(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def tell(told: Mapping[str, Any]) -> None:
    """Print a JSON object on a line of its own, for a program."""
    say(json.dumps(told, ensure_ascii=False))
