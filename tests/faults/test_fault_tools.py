"""The fault tools do what they say; a scenario that stands on a tool that does nothing proves nothing."""

import asyncio
import errno
import json
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import pytest

from tests.faults import wire
from tests.faults.disk import mounted
from tests.faults.page import page
from tests.faults.proxy import Proxy
from tests.faults.store import Stored
from tests.faults.stub import Behaviour, Published, Stub
from tests.faults.witness import Witness, judge

pytestmark = pytest.mark.xdist_group("faults-tools")

_CONNECT_5 = wire.made(wire.CONNECT << 4, wire.text("MQTT") + b"\x05\x02\x00\x0a\x00" + wire.text("me"))
_CONNECT_4 = wire.made(wire.CONNECT << 4, wire.text("MQTT") + b"\x04\x02\x00\x0a" + wire.text("me"))


def _publish(id_: int, payload: bytes, level: int = 5) -> bytes:
    properties = b"\0" if level == 5 else b""
    return wire.made(wire.PUBLISH << 4 | 2, wire.text("t") + id_.to_bytes(2, "big") + properties + payload)


class _Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connected(cls, port: int, connect: bytes = _CONNECT_5) -> "_Client":
        made = cls(*await asyncio.open_connection("127.0.0.1", port))
        made.send(connect)
        return made

    def send(self, raw: bytes) -> None:
        self._writer.write(raw)

    async def hear(self, within: float = 60) -> tuple[int, bytes]:
        async with asyncio.timeout(within):
            first, body, _ = await wire.packet(self._reader)
        return first >> 4, body

    async def ended(self) -> bool:
        with suppress(ConnectionResetError, asyncio.IncompleteReadError):
            await self.hear()
            return False
        return True

    def close(self) -> None:
        self._writer.close()


def _through(stub: Stub) -> AbstractAsyncContextManager[Proxy]:
    return Proxy(stub.port)


@pytest.mark.parametrize("value", [0, 127, 128, 16_383, 16_384, 268_435_455])
def test_variable_byte_integers(value: int) -> None:
    assert wire.read_number(b"x" + wire.number(value) + b"x", 1) == (value, 1 + len(wire.number(value)))


async def test_stub_acknowledges_with_the_code_it_is_told_and_remembers() -> None:
    codes = {1: 0, 2: 0x87, 3: None, 4: 0x97}
    async with Stub(Behaviour(lambda message: codes[message.number])) as stub:
        client = await _Client.connected(stub.port)
        assert await client.hear() == (wire.CONNACK, b"\0\0\0")
        for at in codes:
            client.send(_publish(at, b"hello"))
        assert await client.hear() == (wire.PUBACK, b"\0\1")
        assert await client.hear() == (wire.PUBACK, b"\0\2\x87")
        assert await client.hear() == (wire.PUBACK, b"\0\4\x97")
        client.close()
    assert [message.id for message in stub.heard.messages] == [1, 2, 3, 4]
    assert stub.heard.messages[0] == Published(1, 1, "t", 1, 1, b"hello")
    assert stub.heard.most_unacked == 2
    assert stub.heard.connects[0][1:] == (5, "me")


async def test_stub_tells_its_limits_and_kicks() -> None:
    async with Stub(Behaviour(receive_maximum=7, maximum_packet=5000, kick=True)) as stub:
        client = await _Client.connected(stub.port)
        assert await client.hear() == (wire.CONNACK, b"\0\0\x08\x21\0\7\x27\0\0\x13\x88")
        assert await client.ended()
        client.close()


@pytest.mark.parametrize(
    ("behaviour", "connect", "answer"),
    [
        (Behaviour(connack=0x87), _CONNECT_5, b"\0\x87\0"),
        (Behaviour(connack=5), _CONNECT_4, b"\0\5"),
        (Behaviour(versions=(4,)), _CONNECT_5, b"\0\1"),
        (Behaviour(versions=(5,)), _CONNECT_4, b"\0\1"),
    ],
)
async def test_stub_refuses_connections(behaviour: Behaviour, connect: bytes, answer: bytes) -> None:
    async with Stub(behaviour) as stub:
        client = await _Client.connected(stub.port, connect)
        assert await client.hear() == (wire.CONNACK, answer)
        assert await client.ended()
        client.close()


async def test_proxy_refuses_and_cuts() -> None:
    async with Stub() as stub, _through(stub) as link:
        client = await _Client.connected(link.port)
        await client.hear()
        await link.refuse()
        assert await client.ended()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", link.port)
        await link.listen()
        again = await _Client.connected(link.port)
        assert await again.hear() == (wire.CONNACK, b"\0\0\0")
        client.close()
        again.close()


async def test_proxy_cuts_at_a_byte() -> None:
    async with Stub() as stub, _through(stub) as link:
        client = await _Client.connected(link.port)
        await client.hear()
        whole = _publish(1, b"whole")
        link.cut_after = 2 * len(whole) - 1  # the second comes without its last byte
        client.send(whole + _publish(2, b"whole") + _publish(3, b"never"))
        while not await client.ended():
            pass
        client.close()
    assert [message.payload for message in stub.heard.messages] == [b"whole"]
    assert link.cuts == 1
    assert link.up == len(_CONNECT_5) + 2 * len(whole) - 1


async def test_proxy_swallows_silently_and_delivers_later() -> None:
    async with Stub() as stub, _through(stub) as link:
        client = await _Client.connected(link.port)
        await client.hear()
        link.swallow = True
        client.send(_publish(1, b"late"))
        with pytest.raises(TimeoutError):
            await client.hear(0.5)  # neither an answer nor an end
        assert not stub.heard.messages
        link.swallow = False
        assert await client.hear() == (wire.PUBACK, b"\0\1")
        client.close()


async def test_proxy_holds_back_and_loses_pubacks_alone() -> None:
    async with Stub() as stub, _through(stub) as link:
        client = await _Client.connected(link.port)
        await client.hear()
        link.lose = 1
        for at in (1, 2):
            client.send(_publish(at, b"x"))
        assert await client.hear() == (wire.PUBACK, b"\0\2")
        link.withhold = True
        client.send(_publish(3, b"x") + wire.made(wire.PINGREQ << 4, b""))
        assert await client.hear() == (wire.PINGRESP, b"")
        assert link.acks_kept_back == 2
        client.close()


async def test_proxy_delays_and_throttles() -> None:
    loop = asyncio.get_running_loop()
    async with Stub() as stub, _through(stub) as link:
        link.delay, link.rate = 0.2, 20_000
        client = await _Client.connected(link.port)
        await client.hear()
        start = loop.time()
        client.send(_publish(1, bytes(20_000)))
        await client.hear()
        assert loop.time() - start > 1.2  # at least: a second on the wire, and the delay both ways
        client.close()


def test_disk_fills_is_freed_and_breaks_down(tmp_path: Path) -> None:
    with mounted(tmp_path, 8) as disk:
        before = disk.free_bytes
        with (disk.path / "file").open("wb", buffering=0) as file:
            disk.fill()
            with pytest.raises(OSError, match="No space left"):
                file.write(bytes(100_000))
            disk.free()
            file.write(bytes(100_000))
            assert disk.free_bytes > before / 2
            disk.break_down()
            with pytest.raises(OSError, match="Read-only") as caught:
                (disk.path / "other").touch()
            assert caught.value.errno == errno.EROFS


def _message(seqs: dict[int, int], lane: str = "live", settled: int = 0) -> bytes:
    items = [
        {"seq": seq, "ts": 1_000 + n, "values": {"temperature": n, "humidity": n * 7 % 101}}
        for seq, n in seqs.items()
    ]
    head = {"device": "d1", "epoch": "e", "lane": lane, "settled": settled}
    return json.dumps({**head, "readings": items}).encode()


def _truth(folder: Path, last: int) -> Path:
    truth = folder / "truth"
    truth.mkdir()
    (truth / "d1").write_text(f"1000 {last - 1}\n5000 {last}\n")
    return truth


_TOPIC = "park/v1/site/gw/data/d1"
_SEVEN = {seq: seq for seq in range(1, 8)}


def test_judge_is_content_when_all_arrived(tmp_path: Path) -> None:
    witness = Witness()
    witness.hear(_TOPIC, _message(_SEVEN))
    witness.hear(_TOPIC, _message({7: 7}, "history"))
    kept = Stored({("d1", "e"): 7}, {(("d1", "e"), seq): seq for seq in range(1, 8)})
    counts = judge(witness, kept, _truth(tmp_path, 7))
    counts.check()
    assert (counts.read, counts.kept, counts.delivered, counts.duplicates) == (7, 7, 7, 1)


@pytest.mark.parametrize(
    ("told", "top", "read", "fault"),
    [
        ([{1: 1, 2: 2, 4: 4}], 4, 4, "missing"),
        ([{1: 1, 2: 2}, {2: 3}], 2, 3, "conflicts"),
        ([{1: 1, 2: 2, 3: 2}], 3, 3, "twice"),
        ([{1: 1, 2: 2, 3: 3}], 2, 3, "invented"),
        ([{1: 1, 2: 2, 3: 3}], 3, 2, "invented"),
        ([{1: 1, 2: 2}], 2, 3, "unkept"),
    ],
)
def test_judge_sees(told: list[dict[int, int]], top: int, read: int, fault: str, tmp_path: Path) -> None:
    witness = Witness()
    for seqs in told:
        witness.hear(_TOPIC, _message(seqs))
    counts = judge(witness, Stored({("d1", "e"): top}), _truth(tmp_path, read))
    assert getattr(counts, fault) == 1
    with pytest.raises(AssertionError):
        counts.check()


def test_judge_excuses_what_was_read_just_before_a_kill_and_what_is_declared(tmp_path: Path) -> None:
    witness = Witness()
    witness.hear(_TOPIC, _message({1: 1, 2: 2, 5: 5}))
    loss = {"device": "d1", "epoch": "e", "seq": 1, "from_seq": 3, "to_seq": 4, "reason": "overflow"}
    witness.hear("park/v1/site/gw/loss/d1", json.dumps(loss).encode())
    counts = judge(witness, Stored({("d1", "e"): 5}), _truth(tmp_path, 6), kills=[5100])
    counts.check()
    assert (counts.declared, counts.excused, counts.unkept) == (2, 1, 2)


def test_the_page_adds_up_seeds_and_leaves_out_what_is_zero_but_never_hides_what_is_missing() -> None:
    rows = [
        ("C4", "empty, seed 1", "read 5, missing 0, twice 0, epochs 2, reasons damage", "passed", 1.0),
        ("C4", "empty, seed 2", "read 7, missing 1, twice 0, epochs 2, reasons damage", "passed", 2.0),
        ("C4", "empty, seed 3", "read 9, missing 0, twice 3, epochs 2, reasons damage", "failed", 2.0),
        ("C5", "full", "read 3, missing 0, reasons ", "passed", 4.0),
    ]
    lines = [line for line in page(rows, "here)").splitlines() if line.startswith("| C")]
    assert lines == [
        "| C4 | empty, 2 seeds | read 12, missing 1, epochs 2, reasons damage | 3 s | passed |",
        "| C4 | empty, seed 3 | read 9, missing 0, twice 3, epochs 2, reasons damage | 2 s | failed |",
        "| C5 | full | read 3, missing 0 | 4 s | passed |",
    ]
