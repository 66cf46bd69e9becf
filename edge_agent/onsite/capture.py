"""A capture: all that passed on a port, as a file of JSON lines that a bug report can carry.

The first line is the head; each other one is a piece, with the seconds from the start to its last byte:

    {"capture": 1, "version": "0.1.0", "serial": "9600 8N1", "driver": "modbus", "settings": {"address": 7}}
    {"t": 0.012, "sent": "0704000000027..."}
    {"t": 0.047, "heard": "070404436680..."}
"""

import asyncio
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from edge_agent import __version__
from edge_agent.bus.tap import Direction
from edge_agent.driver import Settings

FORMAT = 1
LARGEST = 64_000_000  # bytes of a file that is read
_MOST_IN_A_PIECE = 32  # bytes; so that what is replayed comes about as slowly as it was heard
_GAP = 0.02  # seconds of quiet that end a piece
_SECRET = re.compile(r"key|pass|pin|secret|token", re.IGNORECASE)


class CaptureError(ValueError):
    """A file is no capture that can be used. The message names the file, the line and the remedy."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a capture: the port's format, and whose device it is, where somebody said so."""

    serial: str
    driver: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that passed together. ``t`` is in seconds from the start."""

    t: float
    direction: Direction
    content: bytes


class Recorder:
    """A tap that writes a capture, line by line, up to ``most`` bytes; then ``filled`` is set."""

    def __init__(
        self,
        write: Callable[[str], object],
        head: Head,
        *,
        most: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bytes = 0
        self.filled = asyncio.Event()
        self._write, self._most, self._clock = write, most, clock
        self._start = clock()
        self._written = 0
        self._direction: Direction = "heard"
        self._at = 0.0
        self._held = bytearray()
        told = {"serial": head.serial, "driver": head.driver, "settings": dict(head.settings)}
        self._put({"capture": FORMAT, "version": head.version} | {key: it for key, it in told.items() if it})

    def __call__(self, direction: Direction, piece: bytes) -> None:
        """Take what passed now."""
        at = self._clock() - self._start
        if direction != self._direction or at - self._at > _GAP or len(self._held) >= _MOST_IN_A_PIECE:
            self.flush()
        self._direction, self._at = direction, at
        self._held += piece

    def flush(self) -> None:
        """Write what is held. To be called once more at the end."""
        if self._held and self._put({"t": round(self._at, 4), self._direction: self._held.hex()}):
            self.bytes += len(self._held)
        self._held.clear()

    def _put(self, line: Mapping[str, Any]) -> bool:
        text = json.dumps(line) + "\n"
        if self.filled.is_set() or self._written + len(text) > self._most:
            self.filled.set()
            return False
        self._written += len(text)
        self._write(text)
        return True


def without_secrets(settings: Settings) -> dict[str, Any]:
    """Return a device's settings as a capture may tell them: without defaults, and without any secret."""
    return {
        name: value
        for name, value in settings.model_dump(mode="json", exclude_defaults=True).items()
        if not _SECRET.search(name) and not isinstance(getattr(settings, name), SecretStr)
    }


def load(file: Path) -> tuple[Head, list[Piece]]:
    """Read a capture.

    Raises:
        CaptureError: it is none, or too large.
    """
    try:
        if not file.is_file():
            raise CaptureError(f"{file} is no file; give one that `edge-agent record` has written")
        if file.stat().st_size > LARGEST:
            raise CaptureError(f"{file} is larger than {LARGEST} bytes; cut its end off, line by line")
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CaptureError(
            f"{file} cannot be read ({error}); give one that `edge-agent record` wrote"
        ) from None
    return _head(file, lines), list(_pieces(file, lines))


def _head(file: Path, lines: list[str]) -> Head:
    try:
        fields = json.loads(lines[0])
        form, head = fields["capture"], None
        if form == FORMAT:
            names = str(fields["serial"]), str(fields.get("driver", ""))
            head = Head(*names, dict(fields.get("settings", {})), str(fields["version"]))
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        raise CaptureError(
            f"{file}:1: is not the head of a capture; give one that `edge-agent record` wrote"
        ) from None
    if head is None:
        raise CaptureError(f"{file} is a capture of format {form!r}; update edge-agent")
    return head


def _pieces(file: Path, lines: list[str]) -> Iterator[Piece]:
    for number, line in enumerate(lines[1:], 2):
        try:
            fields = json.loads(line)
            direction: Direction = "sent" if "sent" in fields else "heard"
            yield Piece(_seconds(fields["t"]), direction, bytes.fromhex(fields[direction]))
        except (KeyError, TypeError, ValueError, RecursionError):
            if number == len(lines):  # a recording that was cut off by a power cut or a full disk
                return
            raise CaptureError(f"{file}:{number}: is no piece of a capture; remove the line") from None


def _seconds(value: Any) -> float:
    if not math.isfinite(t := float(value)) or t < 0:
        raise ValueError(value)
    return t
