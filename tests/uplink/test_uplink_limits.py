"""What a broker can never take is named once and left out; the rest flows. What is gone is cleared there."""

import asyncio
import json
from pathlib import Path

import pytest

from edge_agent.reading import Reading
from tests.faults.broker import running as broker_running
from tests.faults.stub import TAKEN, Behaviour, Published, Stub
from tests.faults.witness import watching
from tests.uplink.rig import DEVICES, running, settings

_PACKET = 1500


def _of(stub: Stub, kind: str, device: str) -> list[Published]:
    return [message for message in stub.heard.messages if message.topic.endswith(f"/{kind}/{device}")]


async def test_a_single_reading_as_large_as_the_packet_is_sent(tmp_path: Path) -> None:
    text = "x" * (_PACKET - 400)
    async with Stub(Behaviour(maximum_packet=_PACKET)) as stub:
        async with running(tmp_path, settings(stub.port)) as rig:
            rig.outbox.keep(Reading(DEVICES[0], 5_000, {"power": text}))
            rig.outbox.keep(Reading(DEVICES[0], 5_000, {"power": text + text}))  # never
            rig.keep(1)
            await rig.drained()
            assert sorted(seq for _, seq in rig.numbers()) == [1, 3]
            (loss,) = await rig.outbox.deliveries["city"].open_losses()
            assert (loss.from_seq, loss.to_seq, loss.reason) == (2, 2, "rejected")
        assert stub.heard.largest <= _PACKET


@pytest.mark.parametrize("says_so", [True, False])
async def test_a_description_that_is_too_large_is_left_out(
    *, says_so: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker names its limit when it connects, or refuses the message."""

    def verdict(message: Published) -> int:
        return 0x99 if len(message.payload) > _PACKET else TAKEN

    limit = _PACKET if says_so else None
    async with Stub(Behaviour(verdict=verdict, maximum_packet=limit)) as stub:
        async with running(tmp_path, settings(stub.port), start=False) as rig:
            metas = dict(rig.gateway.metas)
            metas[DEVICES[0]] = json.dumps({"name": "x" * _PACKET})
            object.__setattr__(rig.gateway, "metas", metas)
            for session in (1, 2):
                runs = asyncio.create_task(rig.uplink.run())
                rig.keep(5)
                await rig.until(lambda wanted=5 * session: len(rig.numbers()) >= wanted)  # type: ignore[misc]
                assert not rig.uplink.status().problem
                runs.cancel()
                await asyncio.gather(runs, return_exceptions=True)
            assert len(rig.numbers()) == 10
        assert _of(stub, "meta", DEVICES[1])
        assert bool(_of(stub, "meta", DEVICES[0])) != says_so
    lines = [message for message in caplog.messages if "left out" in message]
    assert len(lines) == 1
    assert f"meta/{DEVICES[0]}" in lines[0]


@pytest.mark.parametrize("goodbye", [0x8E, 0])
async def test_another_client_with_the_same_id_is_named(
    goodbye: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker says that the session was taken over; some, as mosquitto 2.0, say nothing."""
    async with (
        Stub(Behaviour(kick=True, goodbye=goodbye)) as stub,
        running(tmp_path, settings(stub.port)) as rig,
    ):
        await rig.until(lambda: any("another client uses" in line for line in caplog.messages))
    lines = [line for line in caplog.messages if "another client uses client id 'gw-01'" in line]
    assert bool(goodbye) == ("perhaps" not in lines[0])
    assert len(stub.heard.connects) >= (1 if goodbye else 3)


async def test_a_server_that_throws_us_out_again_and_again_is_left_for_the_next(tmp_path: Path) -> None:
    """A node of a RabbitMQ cluster does so while the node with our session is away."""
    async with Stub(Behaviour(kick=True)) as first, Stub() as second:
        servers = [f"mqtt://127.0.0.1:{stub.port}" for stub in (first, second)]
        async with running(tmp_path, settings(1, servers=servers, protocol="5")) as rig:
            rig.keep(10)
            await rig.drained()
            assert rig.uplink.status().server == servers[1]
        assert len(first.heard.connects) == 3


async def test_what_is_retained_of_a_former_device_is_cleared_once_nothing_is_owed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.uplink.sending._HEALTH_EVERY_S", 0.2)
    gone = DEVICES[1]
    topics = {f"meta/{gone}", f"state/{gone}"}
    async with broker_running(tmp_path / "broker") as served:
        async with running(tmp_path, settings(served.port)) as rig:
            rig.keep(3, gone)
            await rig.drained()
            with watching(served.port) as witness:
                assert await asyncio.to_thread(witness.wait, lambda heard: topics <= set(heard.retained), 60)
        async with running(tmp_path, settings(served.port, spread="1h"), start=False) as rig:
            rig.keep(3, gone)
            await rig.until(lambda: not rig.outbox.waiting)
            metas = {device: meta for device, meta in rig.gateway.metas.items() if device != gone}
            object.__setattr__(rig.gateway, "metas", metas)
            monkeypatch.setattr("random.uniform", lambda _low, high: high)
            runs = asyncio.create_task(rig.uplink.run())
            await rig.connected()
            assert rig.uplink._sending
            said = rig.uplink._sending._announcements
            said.retire()
            assert not said._retired, "something of it is owed"
            rig.uplink._sending._open_backlog()  # before an hour is over
            await rig.drained()
            await rig.until(lambda: said._retired == {gone})
            await asyncio.sleep(0.5)
            runs.cancel()
            await asyncio.gather(runs, return_exceptions=True)
        with watching(served.port, "park/v1/+/+/meta/#") as late:
            other = f"meta/{DEVICES[0]}"
            assert await asyncio.to_thread(late.wait, lambda heard: other in heard.retained, 60)
            assert not topics & set(late.retained)
