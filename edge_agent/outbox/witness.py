"""A small file beside the database that remembers how far the database had come.

A database that lost its end looks sound, and would give the same numbers twice. So the count of runs and the
next log id are also written here, after each commit, without a sync: the page stays in the kernel's cache and
reaches the card twice a minute. A database that is behind its witness was restored or lost something. One
without its witness, or on another machine than it, is a copy.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

State = Literal["open", "closed", "damaged"]
_STATES: tuple[State, ...] = ("open", "closed", "damaged")
_HEAD = 64  # bytes of the first line, which alone is rewritten after a commit
_LARGEST = 16_000_000


class Known(NamedTuple):
    """A device of the present epoch: the ids of its stream and its description, and the description."""

    stream: int
    meta: int
    hash: str
    description: str


@dataclass(frozen=True, slots=True)
class Testimony:
    """What a witness says: how often the outbox was opened, its next log id, epoch, devices and machine."""

    runs: int = 0
    next_id: int = 1
    state: State = "closed"
    epoch: str = ""
    site: str = ""
    gateway: str = ""
    devices: Mapping[str, Known] = field(default_factory=dict)
    machine: str = ""


class Witness:
    """The witness file of one outbox, open for writing. Its lock says that the outbox is in use."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def read(self) -> Testimony:
        """Read what was written last; a file that says nothing sensible is as good as none."""
        text = os.pread(self.descriptor, _LARGEST, 0).decode("utf-8", "replace")
        first, _, rest = text.partition("\n")
        head = Testimony()
        try:
            runs, next_id, state = first.split()
            head = Testimony(int(runs), int(next_id), next(one for one in _STATES if one == state))
            known = json.loads(rest)
            return replace(
                head,
                epoch=str(known["epoch"]),
                site=str(known["site"]),
                gateway=str(known["gateway"]),
                devices={device: Known(*of) for device, of in known["devices"].items()},
                machine=str(known.get("machine", "")),
            )
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
            return head

    def write(self, testimony: Testimony) -> None:
        """Write everything, and make sure that it is on the disk."""
        known = {
            "epoch": testimony.epoch,
            "site": testimony.site,
            "gateway": testimony.gateway,
            "devices": dict(testimony.devices),
            "machine": testimony.machine,
        }
        body = _head(testimony.runs, testimony.next_id, testimony.state) + json.dumps(known).encode()
        os.pwrite(self.descriptor, body, 0)
        os.ftruncate(self.descriptor, len(body))
        os.fsync(self.descriptor)

    def note(self, runs: int, next_id: int, state: State = "open") -> None:
        """Note how far the database has come, without a sync. A disk that takes nothing is no matter."""
        with suppress(OSError):
            os.pwrite(self.descriptor, _head(runs, next_id, state), 0)

    def close(self) -> None:
        """Close the file, and give up its lock."""
        os.close(self.descriptor)


def _head(runs: int, next_id: int, state: State) -> bytes:
    return f"{runs} {next_id} {state}".ljust(_HEAD - 1).encode() + b"\n"
