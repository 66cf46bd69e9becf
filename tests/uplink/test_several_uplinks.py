"""A real agent with several uplinks: each broker, or root, hears what its uplink selects, and all of that."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import broker as brokers
from tests.faults.broker import Broker
from tests.faults.gateway import Gateway, config
from tests.faults.proxy import Proxy
from tests.faults.store import stored
from tests.uplink.rig import Heard, Listener, listening, running, settings

_HEAD = "[bus.line]"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with brokers.running(tmp_path / "broker") as served:
        yield served


@pytest.fixture
async def heard(broker: Broker) -> AsyncIterator[Listener]:
    async with listening(broker.port) as listener:
        yield listener


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[Gateway]:
    outbox = tmp_path / "outbox.db"
    made = Gateway(tmp_path, [tmp_path / "gw-01.toml"], outbox)
    yield made
    await made.close()


def write(
    gateway: Gateway, port: int, uplinks: str, devices: tuple[str, ...] = ("d1", "d2", "door-1")
) -> None:
    """Write a configuration whose uplinks are these, with {port} for the broker's."""
    file = config(gateway.folder, port, devices=devices, outbox=gateway.outbox)
    before, _, after = file.read_text("utf-8").partition("[uplink.city]")
    tables = uplinks.replace("{port}", str(port))
    after = after.replace("[device.d2]", '[device.d2]\nlabels = { tenant = "hall-b" }')
    file.write_text(f"{before}{tables}\n{_HEAD}{after.partition(_HEAD)[2]}", "utf-8")


def below(heard: Listener, root: str) -> list[Heard]:
    return [said for said in heard.heard if said.topic.startswith(f"{root}/v1/")]


def numbers(heard: Listener, root: str, lanes: tuple[str, ...] = ("data", "history")) -> dict[str, list[int]]:
    """Seqs by device, in the order they came."""
    found: dict[str, list[int]] = {}
    for said in below(heard, root):
        if said.kind in lanes:
            found.setdefault(said.payload["device"], []).extend(
                item["seq"] for item in said.payload["readings"]
            )
    return found


def sorted_numbers(heard: Listener, root: str) -> dict[str, list[int]]:
    return {device: sorted(seqs) for device, seqs in numbers(heard, root).items()}


def last(heard: Listener, root: str, kind: str) -> dict[str, dict[str, Any]]:
    return {said.payload["device"]: said.payload for said in below(heard, root) if said.kind == kind}


async def finished(gateway: Gateway) -> None:
    await gateway.drained(60)
    assert await gateway.stop() == 0, gateway.tail()


async def test_each_hears_the_devices_and_channels_that_it_selects(
    broker: Broker, heard: Listener, gateways: Gateway
) -> None:
    dead = brokers.free_port()
    write(
        gateways,
        broker.port,
        f"""
        [uplink.park]
        servers = ["mqtt://127.0.0.1:{{port}}"]
        root = "park/v1"
        [uplink.city]
        servers = ["mqtt://127.0.0.1:{dead}", "mqtt://127.0.0.1:{{port}}"]
        root = "city/v1"
        send = {{ without = ["door-*"], channels = ["temp*"] }}
        [uplink.tenant]
        servers = ["mqtt://127.0.0.1:{{port}}"]
        root = "tenant/v1"
        send = {{ labels = {{ tenant = "hall-b" }} }}
        [uplink.nobody]
        servers = ["mqtt://127.0.0.1:{{port}}"]
        root = "nobody/v1"
        send = {{ without_channels = ["*"] }}
        """,
    )
    await gateways.start()
    await gateways.until(lambda said: all(uplink["connected"] for uplink in said["uplinks"]), 60)
    for root in ("park", "city", "tenant"):
        await heard.until(lambda: [s for s in last(heard, root, "state").values() if "temperature" in s])  # noqa: B023 - used at once
    await gateways.drained(60)
    said = {uplink["name"]: uplink for uplink in gateways.said["uplinks"]}
    assert said["city"]["server"].endswith(str(broker.port)), "the second server, as the first is dead"
    assert await gateways.stop() == 0, gateways.tail()
    tops = {device: top for (device, _), top in stored(gateways.outbox).tops.items()}
    on = {"park": {"d1", "d2", "door-1"}, "city": {"d1", "d2"}, "tenant": {"d2"}, "nobody": set()}
    for root, devices in on.items():
        all_of_it = {device: list(range(1, tops[device] + 1)) for device in devices}
        await heard.until(lambda: sorted_numbers(heard, root) == all_of_it)  # noqa: B023 - used at once
        assert said[root]["acknowledged"] == sum(map(len, all_of_it.values()))
        for kind in ("meta", "state"):
            assert last(heard, root, kind).keys() == devices
        assert not [s for s in below(heard, root) if s.kind == "loss"]
        told = {s.payload["seq"]: s.payload for s in below(heard, root) if s.kind == "event"}
        assert {said["device"] for said in told.values()} == devices | {"gateway"}
        of_others = {n for seq, event in told.items() for n in range(event.get("above", seq - 1) + 1, seq)}
        assert sorted(told.keys() | of_others) == list(range(1, max(told) + 1)), "exact for each"
        assert not told.keys() & of_others
    for root, channels in (("park", {"temperature", "humidity"}), ("city", {"temperature"})):
        metas = last(heard, root, "meta")
        assert {tuple(sorted(meta["channels"])) for meta in metas.values()} == {tuple(sorted(channels))}
        states = [said.payload.keys() for said in below(heard, root) if said.kind == "state"]
        assert set().union(*states) & {"temperature", "humidity"} == channels
        for message in below(heard, root):
            if message.kind in {"data", "history"}:
                assert message.payload["meta"] == metas[message.payload["device"]]["hash"]
                assert all(item["values"].keys() == channels for item in message.payload["readings"])
                assert message.payload["settled"] < message.payload["readings"][0]["seq"]
    assert last(heard, "park", "meta")["d1"]["hash"] != last(heard, "city", "meta")["d1"]["hash"]


async def test_a_new_uplink_begins_now_or_with_the_oldest(
    broker: Broker, heard: Listener, gateways: Gateway
) -> None:
    table = '[uplink.{name}]\nservers = ["mqtt://127.0.0.1:{{port}}"]\nroot = "{name}/v1"\nspread = "0s"\n'
    park = table.format(name="park")
    write(gateways, broker.port, park)
    gateways.most = 200
    await gateways.start()
    await gateways.all_read(60)
    await finished(gateways)
    late = table.format(name="late")
    old = table.format(name="old") + 'from = "oldest"\nsend = { devices = ["d1"] }\n'
    write(gateways, broker.port, park + late + old)
    gateways.most = 260
    await gateways.start()
    await gateways.all_read(60)
    await gateways.until(lambda said: all(uplink["connected"] for uplink in said["uplinks"]), 60)
    await finished(gateways)
    for root, first, devices in (
        ("park", 1, ("d1", "d2", "door-1")),
        ("late", 201, ("d1", "d2", "door-1")),
        ("old", 1, ("d1",)),
    ):
        expected = {device: [*range(first, 261)] for device in devices}
        await heard.until(lambda: sorted_numbers(heard, root) == expected)  # noqa: B023 - used at once
    backlog = numbers(heard, "old", ("history",))["d1"]
    assert backlog[:200] == [*range(1, 201)], "oldest first"
    begun = next(said for said in below(heard, "late") if said.kind in {"data", "history"})
    assert begun.payload["settled"] >= 200


async def test_the_end_of_the_backlog_is_told_while_it_drains(broker: Broker, tmp_path: Path) -> None:
    async with Proxy(broker.port) as link, listening(broker.port) as heard:
        await link.refuse()
        async with running(tmp_path, settings(link.port)) as rig:
            rig.keep(8_000)
            await rig.until(lambda: rig.outbox.kept == 8_000)
            assert rig.uplink.status().drain_s is None
            link.rate = 40_000
            await link.listen()
            await rig.until(lambda: rig.uplink.status().drain_s)
            sending = rig.uplink._sending
            assert sending is not None
            sending._health()
            await heard.until(
                lambda: [said for said in heard.of("health") if said.payload.get("drain_s", 0) > 0]
            )
            link.rate = None
            await rig.drained()
            assert rig.uplink.status().drain_s is None


_TWO = """
[uplink.park]
servers = ["mqtt://127.0.0.1:{port}"]
root = "park/v1"
[uplink.city]
servers = ["mqtt://127.0.0.1:%d"]
root = "city/v1"
%s
"""


def _events_of(heard: Listener, root: str, device: str) -> list[str]:
    events = {s.payload["seq"]: s.payload for s in below(heard, root) if s.kind == "event"}
    return [said["event"] for _, said in sorted(events.items()) if said["device"] == device]


def _cleared(heard: Listener, root: str) -> set[str]:
    return {said.topic.partition("/gw-01/")[2] for said in below(heard, root) if said.payload == {}}


async def test_an_uplink_that_was_down_while_a_device_was_taken_away_clears_it_later(
    broker: Broker, heard: Listener, gateways: Gateway
) -> None:
    async with Proxy(broker.port) as proxy:
        write(gateways, broker.port, _TWO % (proxy.port, ""), ("d1", "d2"))
        await gateways.start()
        for root in ("park", "city"):
            await heard.until(lambda: "online" in _events_of(heard, root, "d2"))  # noqa: B023 - used at once
        await finished(gateways)
        await proxy.refuse()
        write(gateways, broker.port, _TWO % (proxy.port, ""), ("d1",))
        await gateways.start()
        await heard.until(lambda: _cleared(heard, "park") == {"meta/d2", "state/d2"})
        assert await gateways.stop() == 0, gateways.tail()
        assert "retired" not in _events_of(heard, "city", "d2")
        await gateways.start()
        await proxy.listen()
        await heard.until(lambda: _cleared(heard, "city") == {"meta/d2", "state/d2"})
        await finished(gateways)
    for root in ("park", "city"):
        assert _events_of(heard, root, "d2") == ["online", "retired"]


async def test_a_device_that_leaves_one_uplink_is_told_nothing_twice_on_the_other(
    broker: Broker, heard: Listener, gateways: Gateway
) -> None:
    for life, more in enumerate(("", 'send = { without = ["d2"] }', 'send = { without = ["d2"] }'), 1):
        write(gateways, broker.port, _TWO % (broker.port, more), ("d1", "d2"))
        await gateways.start()
        await heard.until(lambda: _events_of(heard, "park", "gateway") == ["restarted"] * life)  # noqa: B023 - used at once
        await gateways.until(lambda said: {"online"} == {of["availability"] for of in said["devices"]}, 60)
        if more:
            await heard.until(lambda: _cleared(heard, "city") == {"meta/d2", "state/d2"})
        await finished(gateways)
    assert _events_of(heard, "park", "d2") == ["online"]
    assert _events_of(heard, "city", "d2") == ["online", "retired"]
