"""The JSON of data messages, spliced from kept rows. Pure.

A plain body is numbers and booleans separated by commas, so that a row becomes JSON by filling its channels'
names in between: a fifth of the cost of decoding and encoding it. ``contract.DataMessage`` describes the
result, and a test holds one against the other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from edge_agent.kept import Moment, Row
from edge_agent.uplink.selection import Passes, everything, narrowed

_BRACE, _N = b"{n"  # a body that is not plain has a brace, or the n of null


@dataclass(frozen=True, slots=True)
class Description:
    """What rows were made under: its hash, its channels in the order of a body, and the text between them.

    ``sent`` are the places of the channels that are sent, in this order; None: all of them.
    """

    hash: str
    names: tuple[str, ...]
    between: str
    sent: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, hash_: str, body: str, passes: Passes = everything) -> "Description":
        """Read a description's JSON, for an uplink that is sent some of its channels."""
        names = tuple(orjson.loads(body)["channels"])
        places = tuple(place for place, name in enumerate(names) if passes(name))
        quoted = (orjson.dumps(names[place]).decode().replace("%", "%%") for place in places)
        between = ",".join(f"{name}:%s" for name in quoted)
        text = f'{{"seq":%d,"ts":%d,"values":{{{between}}}}}'
        if len(places) == len(names):
            return cls(hash_, names, text)
        return cls(narrowed(hash_, body, passes)[0], names, text, places)

    @property
    def names_size(self) -> int:
        """Bytes of names in each reading."""
        return len(self.between.encode())


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands around the readings of a message."""

    site: str
    gateway: str
    device: str
    epoch: str
    lane: str

    def around(self, settled: int, meta: str) -> str:
        """Return the message's JSON up to its readings."""
        return (
            f'{{"schema":"park.data/1","site":"{self.site}","gateway":"{self.gateway}","device":"{self.device}",'
            f'"epoch":"{self.epoch}","lane":"{self.lane}","settled":{settled},"meta":"{meta}","readings":['
        )


def encode(
    envelope: Envelope,
    settled: int,
    description: Description,
    rows: Sequence[Row],
    moment: Callable[[int, int], Moment],
) -> bytes:
    """Return a data message. All rows are of one stream and one description."""
    columns = dict(zip(Row._fields, zip(*rows, strict=True), strict=True))
    moments = list(map(moment, columns["boot"], columns["mono_ms"]))
    items = _plain(description, columns, moments)
    if items is None:
        made = map(partial(item, description), rows, moments)
        items = ",".join(orjson.dumps(reading).decode() for reading in made)
    return f"{envelope.around(settled, description.hash)}{items}]}}".encode()


def _plain(
    description: Description, columns: Mapping[str, Sequence[Any]], moments: Sequence[Moment]
) -> str | None:
    """Return the readings' JSON, None unless all bodies are plain and all times true.

    Worked by columns: a step for each row would cost twice as much.
    """
    times, clocks, _ = zip(*moments, strict=True)
    bodies = b",".join(columns["body"])
    if any(clocks) or _BRACE in bodies or _N in bodies:
        return None
    values = bodies.translate(None, b"[]").decode().split(",")
    width = len(description.names)
    if len(values) != width * len(moments):
        return None
    sent = range(width) if description.sent is None else description.sent
    each = 2 + len(sent)
    fields: list[int | str] = [0] * (each * len(moments))
    fields[0::each], fields[1::each] = columns["seq"], times
    for at, place in enumerate(sent, 2):
        fields[at::each] = values[place::width]
    return ",".join([description.between] * len(moments)) % tuple(fields)


def known_values(description: Description, row: Row) -> dict[str, object]:
    """Return a row's values by channel name; what is not known, or not sent, is left out."""
    content = orjson.loads(row.body)
    values = content if isinstance(content, list) else content["v"]
    named = list(zip(description.names, values, strict=True))
    if description.sent is not None:
        named = [named[place] for place in description.sent]
    return {name: value for name, value in named if value is not None}


def item(description: Description, row: Row, when: Moment) -> dict[str, object]:
    """Return one reading as the contract's ReadingItem, as a mapping."""
    made: dict[str, object] = {"seq": row.seq, "ts": when.ts, "values": known_values(description, row)}
    content = orjson.loads(row.body)
    if isinstance(content, dict) and (quality := _sent_quality(description, content["q"])):
        made["quality"] = quality
    if when.clock:
        made["clock"] = when.clock
    if when.bounds is not None:
        made["ts_bounds"] = when.bounds
    return made


def _sent_quality(description: Description, quality: dict[str, object]) -> dict[str, object]:
    if description.sent is None:
        return quality
    sent = {description.names[place] for place in description.sent}
    return {name: why for name, why in quality.items() if name in sent}
