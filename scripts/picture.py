"""Record the demo's screen as an SVG: run the real command on a terminal and keep the last screen it drew.

Usage: scripts/picture.py FILE.svg
"""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

_COLUMNS, _LINES = 106, 38
_SECONDS = 25
_COMMAND = f"edge-agent demo --for {_SECONDS}s"
_UP = re.compile(rb"(?:\x1b\[1A\x1b\[2K)+")  # how rich goes back to draw the next screen over the last

# rich's own template names fonts on the network; a reader's browser has a monospaced one.
_SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<title>edge-agent demo on a terminal</title>
<style>
.{unique_id}-matrix {{
font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-family: sans-serif; font-size: 18px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def record() -> bytes:
    """Run the demo on a terminal of its own and return all that it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(_COLUMNS), "LINES": str(_LINES)}
    command = [str(Path(sys.executable).with_name("edge-agent")), *_COMMAND.split()[1:]]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment):  # noqa: S603 - our own
        os.close(theirs)
        written = bytearray()
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that nobody has the other end open
                break
            if not part:
                break
            written += part
    os.close(ours)
    return bytes(written)


def main() -> None:
    """Write the picture."""
    target = Path(sys.argv[1])
    # What follows the last return to the top is the last screen, with the final line below it.
    screen = _UP.split(record())[-1].decode().replace("\r", "")
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ {_COMMAND}\n{screen.rstrip()}"))
    target.write_text(console.export_svg(title="edge-agent", code_format=_SVG, unique_id="demo"), "utf-8")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
