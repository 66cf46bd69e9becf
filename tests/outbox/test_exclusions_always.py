"""Shares stay exact, whatever is selected when: against a model with a set entry for each reading."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Selection
from tests.outbox.shares import keep, owed_by, settle, stream
from tests.outbox.world import EAST, NAMES, FakeClock, crash, policy

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), st.sampled_from(["d1", "d2", "d3"]), st.integers(1, 3)),
        st.tuples(st.just("settle"), st.sampled_from(["city", "park"]), st.integers(0, 30)),
        st.tuples(
            st.just("reopen"),
            st.booleans(),
            st.sets(st.sampled_from(["d1", "d2", "d3"])),
            st.sets(st.sampled_from(["d1", "d2", "d3"])),
            st.booleans(),
        ),
        st.tuples(st.just("time"), st.sampled_from([1_000, 20_000])),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_STEPS)
async def test_whatever_is_selected_when_the_shares_are_exact(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[object, ...]]
) -> None:
    """A crash may bring back what was settled since the marks, and nothing else."""
    folder, clock = tmp_path_factory.mktemp("shares"), FakeClock()
    model = Model()
    outbox = await model.open(folder / "outbox.db", clock)
    path = folder / "outbox.db"
    for number, (act, *how) in enumerate(steps):
        match act, how:
            case "keep", [str(device), int(count)]:
                await keep(outbox, count, [device])
                model.keep(device, count)
            case "settle", [str(uplink), int(at)]:
                model.settle(outbox, uplink, at)
            case "time", [int(ms)]:
                clock.wait(ms)
            case "reopen", [bool(crashed), set(city), set(park), bool(there)]:
                left = crash(path, folder / str(number)) if crashed else path
                await outbox.close()
                path = left
                model.selected = {"city": city, "park": park} if there else {"park": park}
                outbox = await model.open(path, clock)
        await model.check(outbox)
    await outbox.close()


class Model:
    """What each uplink is owed, as sets of (device, seq)."""

    def __init__(self) -> None:
        self.selected: dict[str, set[str]] = {"city": {"d1", "d2"}, "park": {"d1", "d2", "d3"}}
        self.owed: dict[str, set[tuple[str, int]]] = {"city": set(), "park": set()}
        self.settled: dict[str, set[tuple[str, int]]] = {"city": set(), "park": set()}
        self._last_seen = dict(self.selected)
        self._tops: dict[str, int] = {}

    async def open(self, path: Path, clock: FakeClock) -> Outbox:
        chosen = {name: Selection(devices) for name, devices in self.selected.items()}
        outbox = await Outbox.open(path, EAST, policy(replay=10**6), clock, list(chosen), chosen)
        for device in ("d1", "d2", "d3"):
            if device not in self._tops:  # one that is parked never gets it
                self._last_seen["city"] = self._last_seen["city"] - {device}
            await outbox.enroll(device, "hash", '{"channels":{"temperature":{},"humidity":{}}}', NAMES)
        self._last_seen |= self.selected
        return outbox

    def keep(self, device: str, count: int) -> None:
        top = self._tops.get(device, 0)
        self._tops[device] = top + count
        for uplink, devices in self._last_seen.items():
            if device in devices:
                self.owed[uplink] |= {(device, top + 1 + number) for number in range(count)}

    def settle(self, outbox: Outbox, uplink: str, at: int) -> None:
        if self.owed[uplink] and uplink in outbox.deliveries:
            device, seq = sorted(self.owed[uplink])[at % len(self.owed[uplink])]
            settle(outbox, uplink, device, seq, seq)
            self.owed[uplink].remove((device, seq))
            self.settled[uplink].add((device, seq))

    async def check(self, outbox: Outbox) -> None:
        for uplink, delivery in outbox.deliveries.items():
            found = {(d, seq) for d, seqs in (await owed_by(outbox, uplink)).items() for seq in seqs}
            back = found - self.owed[uplink]
            assert self.owed[uplink] <= found, "something is not owed any more, and was not settled"
            assert back <= self.settled[uplink], "something unwanted is owed"
            self.owed[uplink] |= back
            self.settled[uplink] -= back
            for device, top in self._tops.items():
                missing = [seq for d, seq in self.owed[uplink] if d == device]
                assert delivery.settled(stream(outbox, device)) == min(missing, default=top + 1) - 1
