"""What is spliced together is what the contract's model says, for any reading that can be kept."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import SystemClock
from edge_agent.contract.messages import DataMessage
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity, Policy
from edge_agent.reading import Grade, Quality, Reading, Value
from edge_agent.row import Moment, Row, Run, runs
from edge_agent.uplink.lane import Lane
from edge_agent.uplink.payload import Description, Envelope, encode, known_values

_NAMES = ("power", "energy_import", "occupied", "text")
_BODY = json.dumps({"channels": {name: {} for name in _NAMES}})
_DESCRIPTION = Description.parse("9c1f02ab", _BODY)
_ENVELOPE = Envelope("east-park", "gw-01", "meter-7", "k7f2", "live")
_TS = 1_795_366_800_000
_EXTREME = (0.0, -0.0, 5e-324, sys.float_info.max, -sys.float_info.max, 0.1 + 0.2, 1e16, 1e22, 2**53 + 1)


class Kept:
    """A real outbox that tells what it has on disk of readings. One for all examples: opening is slow."""

    def __init__(self, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self._outbox = self._runner.run(self._opened(folder))

    async def _opened(self, folder: Path) -> Outbox:
        outbox = await Outbox.open(
            folder / "outbox.db",
            Identity("east-park", "gw-01"),
            Policy(window=0.05, memory=10_000, replay=60, max_size=10**9),
            SystemClock("always"),
            ["city"],
        )
        await outbox.enroll("meter-7", "9c1f02ab", _BODY, _NAMES)
        return outbox

    def __call__(self, readings: list[Reading]) -> list[Row]:
        """Return their rows, numbered from 1."""
        return self._runner.run(self._rows(readings))

    async def _rows(self, readings: list[Reading]) -> list[Row]:
        before = self._outbox.last_id
        for reading in readings:
            self._outbox.keep(reading)
        await self._outbox.flush()
        rows = await self._outbox.deliveries["city"].log.read(before + 1, self._outbox.last_id, len(readings))
        return [row._replace(seq=row.seq - before) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._runner.run(self._outbox.close())
        self._runner.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    opened = Kept(tmp_path_factory.mktemp("outbox"))
    yield opened
    opened.close()


_VALUES: st.SearchStrategy[Value] = st.one_of(
    st.sampled_from(_EXTREME),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.text(st.characters(codec="utf-8"), max_size=30),
)
_QUALITIES = st.builds(Quality, st.sampled_from(Grade), st.text("abc_", min_size=1, max_size=8))
_READINGS = st.builds(
    Reading,
    st.just("meter-7"),
    st.integers(0, 10**10),
    st.dictionaries(st.sampled_from(_NAMES), _VALUES),
    st.one_of(st.just({}), st.dictionaries(st.sampled_from(_NAMES), _QUALITIES)),
)
_BOUND = st.one_of(st.none(), st.integers(0, 2**42))
_MOMENTS = st.one_of(
    st.builds(Moment, st.integers(0, 2**42), st.just(""), st.none()),
    st.builds(Moment, st.integers(0, 2**42), st.just("repaired"), st.none()),
    st.builds(Moment, st.integers(0, 2**42), st.just("unsynchronised"), st.tuples(_BOUND, _BOUND)),
)


def _same(sent: object, made: object) -> bool:
    """Say whether two values are the same, and of the same kind: True is not 1, -0.0 is not 0.0."""
    return type(sent) is type(made) and repr(sent) == repr(made)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(_READINGS, _MOMENTS), min_size=1, max_size=30),
    st.integers(0, 2**40),
    st.one_of(st.none(), st.integers(0, 2**42)),
)
def test_any_reading_arrives_as_it_was_made(
    kept: Kept, made: list[tuple[Reading, Moment]], settled: int, offset: int | None
) -> None:
    readings = [reading for reading, _ in made]
    if offset is not None:
        made = [(reading, Moment(reading.mono_ms + offset)) for reading in readings]
    moments = iter([moment for _, moment in made])
    run = Run(kept(readings))
    payload = encode(_ENVELOPE, settled, _DESCRIPTION, run, lambda _boot, _mono: next(moments), offset)
    message = DataMessage.model_validate_json(payload)
    assert message.settled == settled
    assert (message.site, message.gateway, message.device) == ("east-park", "gw-01", "meter-7")
    assert (message.epoch, message.lane, message.meta) == ("k7f2", "live", "9c1f02ab")
    sent = json.loads(payload)["readings"]  # not through the model, which could mend a value
    assert [item["seq"] for item in sent] == list(range(1, len(made) + 1))
    for (reading, moment), item in zip(made, sent, strict=True):
        assert item["ts"] == moment.ts
        assert item.get("clock", "") == moment.clock
        assert item.get("ts_bounds") == (None if moment.bounds is None else list(moment.bounds))
        assert item["values"].keys() == reading.values.keys()
        for name, value in reading.values.items():
            assert _same(item["values"][name], value)
        quality = {name: [why.grade, why.reason] for name, why in reading.quality.items()}
        assert item.get("quality", {}) == quality


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_never_sent_as_null(kept: Kept, value: float) -> None:
    """Processing makes these bad; should one slip through, the contract still holds."""
    values: dict[str, Value] = {"power": value, "energy_import": 1.5, "occupied": True, "text": 2}
    rows = kept([Reading("meter-7", 5, values)])
    message = DataMessage.model_validate_json(
        encode(_ENVELOPE, 0, _DESCRIPTION, Run(rows), lambda _boot, _mono: Moment(_TS))
    )
    assert "power" not in message.readings[0].values
    assert "power" not in known_values(_DESCRIPTION, rows[0])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_READINGS, min_size=1, max_size=60),
    st.integers(300, 4000),
    st.sampled_from(
        [Moment(_TS), Moment(_TS, "repaired"), Moment(_TS, "unsynchronised", (_TS, _TS + 10**9))]
    ),
)
def test_a_message_keeps_to_its_room(kept: Kept, readings: list[Reading], room: int, moment: Moment) -> None:
    """A message of several readings is not larger than the room it was given.

    Bounds of an unknown time are not reckoned with; what comes out too large for the broker is cut again.
    """
    bounds = 70 if moment.bounds else 0
    rows = [row._replace(seq=row.seq + 10**9) for row in kept(readings)]
    lane = Lane({rows[0].meta: _DESCRIPTION.names_size})
    lane.add(runs(rows))
    around = len(_ENVELOPE.around(10**9, _DESCRIPTION.hash)) + len("]}")
    while lane.waiting:
        run = lane.take(room)
        payload = encode(_ENVELOPE, 10**9, _DESCRIPTION, run, lambda _boot, _mono: moment)
        assert len(run.rows) == 1 or len(payload) - around <= room + bounds * len(run.rows)


def test_a_legal_but_odd_channel_name_is_only_text() -> None:
    """Profiles allow letters, digits and _ alone; a driver of somebody else's may think otherwise."""
    names = ['100%s "quoted"', "温度", "back\\slash"]
    odd = Description.parse("0", json.dumps({"channels": {name: {} for name in names}}))
    row = Row(1, 1, 1, 1, 5, 1, orjson.dumps([1, 2.5, True]), 0)
    message = json.loads(encode(_ENVELOPE, 0, odd, Run([row]), lambda _boot, _mono: Moment(_TS), _TS))
    assert message["readings"][0]["values"] == dict(zip(names, [1, 2.5, True], strict=True))


def test_a_plain_body_costs_no_decoding() -> None:
    """The splice is the fast way: it must give what the slow way gives."""
    row = Row(1, 1, 7, 1, 5, 1, orjson.dumps([1.5, -0.0, False, 3]), 0)
    asked: list[int] = []

    def moment(_boot: int, mono_ms: int) -> Moment:
        asked.append(mono_ms)
        return Moment(_TS + mono_ms)

    fast = encode(_ENVELOPE, 0, _DESCRIPTION, Run([row]), moment, _TS)
    assert not asked
    assert fast == encode(_ENVELOPE, 0, _DESCRIPTION, Run([row]), moment)
    other = row._replace(body=orjson.dumps({"v": [1.5, -0.0, False, 3], "q": {}}))
    assert fast == encode(_ENVELOPE, 0, _DESCRIPTION, Run([other]), moment, _TS)


def test_uplinks_share_the_text_of_a_run_while_they_say_the_same() -> None:
    rows = [Row(n, 1, n, 1, 5, 1, b"[1.5,2,3,4]", 0) for n in (1, 2)]
    (run,) = runs(rows, shared=True)
    some = Description.parse("9c1f02ab", _BODY, lambda name: name == "power")
    for description, offset in ((_DESCRIPTION, _TS), (some, _TS), (_DESCRIPTION, 7), (_DESCRIPTION, _TS)):
        (alone,) = runs(rows)
        wanted = encode(_ENVELOPE, 0, description, alone, lambda _boot, _mono: Moment(0), offset)
        assert encode(_ENVELOPE, 0, description, run, lambda _boot, _mono: Moment(0), offset) == wanted
    assert run.texts is not None
    assert len(run.texts) == 3
