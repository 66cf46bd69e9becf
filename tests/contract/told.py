"""Messages of one made-up gateway, as they stand on the wire."""

import json
from collections.abc import Iterable
from typing import Any

SITE, GATEWAY, DEVICE, EPOCH = "east-park", "gw-01", "meter-7", "k7f2"
NOW = 1_795_366_800_000
_GATEWAY = {"site": SITE, "gateway": GATEWAY}
_DEVICE = _GATEWAY | {"device": DEVICE, "epoch": EPOCH}


def topic(kind: str, device: str = DEVICE) -> str:
    """Return a topic of the gateway, or of a device of it."""
    below = f"/{device}" if kind in {"meta", "state", "data", "history", "loss", "event"} else ""
    return f"park/v1/{SITE}/{GATEWAY}/{kind}{below}"


def data(seqs: Iterable[int], settled: int, clock: str = "", **more: Any) -> bytes:
    """Return a message of readings."""
    extra = {"clock": clock} if clock else {}
    readings = [{"seq": seq, "ts": NOW + seq, "values": {"power": seq}} | extra for seq in seqs]
    said = {"schema": "park.data/1", "lane": "live", "settled": settled, "meta": "00", "readings": readings}
    return json.dumps(_DEVICE | said | more).encode()


def loss(first: int, last: int | None, **more: Any) -> bytes:
    """Return a declaration."""
    said = {"schema": "park.loss/1", "seq": 1, "from_seq": first, "to_seq": last, "readings": None}
    return json.dumps(_DEVICE | said | {"reason": "capacity"} | more).encode()


def status(state: str, session: int, epoch: str = EPOCH) -> bytes:
    """Return a word of the gateway about itself."""
    said = {"schema": "park.status/1", "state": state, "session": session, "ts": NOW, "epoch": epoch}
    return json.dumps(_GATEWAY | said | {"version": "1", "backlog": 0}).encode()
