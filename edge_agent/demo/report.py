"""What the demo prints where there is no screen: lines for people, or one JSON object a line for programs."""

import sys
from collections.abc import Callable

import orjson

from edge_agent.demo import screen
from edge_agent.status import Status
from edge_agent.text import formatting
from edge_agent.uplink.interfaces import Acknowledged


class Lines:
    """Standard output, a line at a time. ``gone`` is called when nobody reads it any more."""

    def __init__(self, *, as_json: bool, gone: Callable[[], None]) -> None:
        self._as_json, self._gone = as_json, gone

    def acknowledged(self, message: Acknowledged) -> None:
        """Print one JSON object per acknowledged reading."""
        data = orjson.loads(message.payload)
        for reading in data["readings"]:
            said = {
                "device": data["device"],
                "epoch": data["epoch"],
                "seq": reading["seq"],
                "ts": reading["ts"],
                "values": reading["values"],
                "quality": reading.get("quality", {}),
            }
            self.plain(orjson.dumps(said).decode())

    def summary(self, status: Status) -> None:
        """Print the last line: what was kept, and what became of it."""
        totals = screen.totals(status)
        if not self._as_json:
            self.plain(str(totals))
            return
        said = {
            "kept": totals.kept,
            "acknowledged": totals.acknowledged,
            "backlog": totals.backlog,
            "lost": totals.lost,
            "devices": {
                device.id: {"seq": device.seq, "availability": device.availability}
                for device in status.devices
            },
        }
        self.plain(orjson.dumps(said).decode())

    def remark(self, text: str) -> None:
        """Say what the demo does to the broker, without breaking the JSON on stdout."""
        if self._as_json:
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - as below
        else:
            self.plain(text)

    def plain(self, text: str) -> None:
        """Print a line at once."""
        try:
            print(text, flush=True)  # noqa: T201 - this is the demo's output
        except BrokenPipeError:
            formatting.nobody_reads()
            self._gone()
