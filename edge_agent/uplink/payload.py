"""The JSON of data messages, spliced from kept rows. Pure.

A plain body is numbers and booleans separated by commas, so that a row becomes JSON by filling its channels'
names in between: a fifth of the cost of decoding and encoding it. ``contract.DataMessage`` describes the
result, and a test holds one against the other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from edge_agent.row import Moment, Row, Run
from edge_agent.uplink.selection import Passes, everything, narrowed

_BRACE, _N = b"{n"  # a body that is not plain has a brace, or the n of null


@dataclass(frozen=True, slots=True)
class Description:
    """What rows were made under: its hash, its channels in the order of a body, and the text between them.

    ``sent`` are the places of the channels that are sent, in this order; None: all of them.
    """

    hash: str
    names: tuple[str, ...]
    between: bytes
    sent: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, hash_: str, body: str, passes: Passes = everything) -> "Description":
        """Read a description's JSON, for an uplink that is sent some of its channels."""
        names = tuple(orjson.loads(body)["channels"])
        places = tuple(place for place, name in enumerate(names) if passes(name))
        quoted = (orjson.dumps(names[place]).decode().replace("%", "%%") for place in places)
        between = ",".join(f"{name}:%s" for name in quoted)
        text = f'{{"seq":%d,"ts":%d,"values":{{{between}}}}}'.encode()
        if len(places) == len(names):
            return cls(hash_, names, text)
        return cls(narrowed(hash_, body, passes)[0], names, text, places)

    @property
    def names_size(self) -> int:
        """Bytes of names in each reading."""
        return len(self.between)


class Descriptions(dict[int, Description]):
    """All that kept rows were made under, by id, for an uplink. ``sizes`` are the bytes of their names."""

    def __init__(self, passes: Passes) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self._passes = passes

    def learn(self, known: Mapping[int, tuple[str, str]]) -> None:
        """Add those that are new: hash and JSON body by id."""
        for id_ in known.keys() - self.keys():
            self[id_] = Description.parse(*known[id_], self._passes)
            self.sizes[id_] = self[id_].names_size


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


def encode(  # noqa: PLR0913, PLR0917 - all that a message is made from
    envelope: Envelope,
    settled: int,
    description: Description,
    run: Run,
    moment: Callable[[int, int], Moment],
    offset: int | None = None,
) -> bytes:
    """Return a data message. ``offset`` makes true times of the run's; without it ``moment`` is asked."""
    text = None if offset is None else _shared(description, run, offset)
    if text is None:
        made = (item(description, row, moment(row.boot, row.mono_ms)) for row in run.rows)
        text = b",".join(map(orjson.dumps, made))
    return b"%b%b]}" % (envelope.around(settled, description.hash).encode(), text)


def _shared(description: Description, run: Run, offset: int) -> bytes | None:
    """Return the readings' JSON, as another uplink has made it or for others."""
    if run.texts is None:
        return _plain(description, run.rows, offset)
    text = run.texts.get((description, offset))
    if text is None and (text := _plain(description, run.rows, offset)) is not None:
        run.texts[description, offset] = text
    return text


def _plain(description: Description, rows: Sequence[Row], offset: int) -> bytes | None:
    """Return the readings' JSON, None unless all bodies are plain. Worked by columns, which is quick."""
    _, _, seqs, _, times, _, bodies, _ = zip(*rows, strict=True)
    plain = b",".join(bodies)
    if _BRACE in plain or _N in plain:
        return None
    values = plain.translate(None, b"[]").split(b",")
    width = len(description.names)
    if len(values) != width * len(rows):
        return None
    places = range(width) if description.sent is None else description.sent
    columns = (values[place::width] for place in places)
    each = zip(seqs, [time + offset for time in times], *columns, strict=True)
    return b",".join(map(description.between.__mod__, each))


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
