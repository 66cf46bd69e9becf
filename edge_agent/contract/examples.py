"""A message of each topic as it stands on the wire, for the documents and for the tests of consumers."""

from typing import Any

_GATEWAY = {"site": "east-park", "gateway": "gw-01"}
_METER = _GATEWAY | {"device": "meter-7"}
_NOW = 1_795_366_800_000

EXAMPLES: dict[str, dict[str, dict[str, Any]]] = {
    "status": {
        "online": _GATEWAY
        | {
            "schema": "park.status/1",
            "state": "online",
            "session": 312,
            "ts": _NOW,
            "epoch": "k7f2",
            "version": "1.0.0",
            "backlog": 1840,
        },
        "will": _GATEWAY
        | {
            "schema": "park.status/1",
            "state": "offline",
            "session": 312,
            "ts": _NOW,
            "epoch": "k7f2",
            "version": "1.0.0",
            "backlog": 0,
            "reason": "will",
        },
    },
    "meta": {
        "meter": _METER
        | {
            "schema": "park.meta/1",
            "hash": "9c1f02ab",
            "name": "Hall B feed",
            "model": "Eastron SDM120",
            "place": "Hall B, floor 1",
            "channels": {
                "power": {"quantity": "power", "unit": "W", "kind": "gauge", "interval_s": 10.0},
                "energy_import": {"quantity": "energy_import", "unit": "kW.h", "kind": "counter"},
            },
        },
    },
    "state": {
        "online": {
            "schema": "park.state/1",
            "gateway": "gw-01",
            "device": "meter-7",
            "ts": _NOW + 10_000,
            "availability": "online",
            "since": 1_795_300_000_000,
            "power": 411.0,
            "energy_import": 1042.31,
        },
        "never-heard": {
            "schema": "park.state/1",
            "gateway": "gw-01",
            "device": "meter-7",
            "availability": "late",
            "since": _NOW,
        },
    },
    "data": {
        "two-readings": _METER
        | {
            "schema": "park.data/1",
            "epoch": "k7f2",
            "lane": "live",
            "settled": 48212,
            "meta": "9c1f02ab",
            "readings": [
                {"seq": 48213, "ts": _NOW, "values": {"power": 412.5, "energy_import": 1042.31}},
                {
                    "seq": 48214,
                    "ts": _NOW + 10_000,
                    "values": {"power": 511000.0, "energy_import": 1042.31},
                    "quality": {"power": ["suspect", "above_plausible"]},
                },
            ],
        },
    },
    "history": {
        "clock-not-known": _METER
        | {
            "schema": "park.data/1",
            "epoch": "k7f2",
            "lane": "history",
            "settled": 48000,
            "meta": "9c1f02ab",
            "readings": [
                {
                    "seq": 48001,
                    "ts": _NOW,
                    "values": {"energy_import": 1042.31},
                    "quality": {"power": ["bad", "unknown"]},
                    "clock": "unsynchronised",
                    "ts_bounds": [_NOW - 60_000, None],
                },
                {
                    "seq": 48002,
                    "ts": _NOW,
                    "values": {"power": 412.5, "energy_import": 1042.31},
                    "clock": "repaired",
                },
            ],
        },
    },
    "loss": {
        "a-full-outbox": _METER
        | {
            "schema": "park.loss/1",
            "epoch": "k7f2",
            "seq": 17,
            "from_seq": 40001,
            "to_seq": 40120,
            "readings": 120,
            "from_ts": 1_795_357_800_000,
            "to_ts": 1_795_365_000_000,
            "reason": "capacity",
        },
        "a-damaged-tail": _METER
        | {
            "schema": "park.loss/1",
            "epoch": "k7f2",
            "seq": 18,
            "from_seq": 48215,
            "to_seq": None,
            "readings": None,
            "reason": "damage",
        },
    },
    "event": {
        "offline": _METER
        | {
            "schema": "park.event/1",
            "epoch": "k7f2",
            "seq": 204,
            "settled": 203,
            "ts": _NOW,
            "event": "offline",
            "detail": "no answer for 5 min",
        },
        "alarm": _METER
        | {
            "schema": "park.event/1",
            "epoch": "k7f2",
            "seq": 207,
            "settled": 204,
            "above": 205,
            "ts": _NOW + 10_000,
            "event": "alarm",
            "channel": "power",
            "alarm": "overload",
            "value": 9100.0,
        },
        "restarted": _GATEWAY
        | {
            "schema": "park.event/1",
            "device": "gateway",
            "epoch": "k7f2",
            "seq": 1,
            "settled": 0,
            "ts": _NOW,
            "event": "restarted",
            "detail": "version 1.0.0",
            "clock": "unsynchronised",
            "ts_bounds": [_NOW - 60_000, None],
        },
    },
    "health": {
        "draining": _GATEWAY
        | {
            "schema": "park.health/1",
            "ts": _NOW,
            "backlog": 1840,
            "drain_s": 12.5,
            "acknowledged": 99120,
            "kept": 100_960,
            "lost": 0,
            "clock": "synchronised",
            "disk_free_mb": 512,
            "rss_mb": 41,
            "devices": {"online": 11, "late": 0, "offline": 1},
            "commands": {"ok": 12, "expired: deadline": 1},
            "board": {
                "temperature": 51.5,
                "load": 0.12,
                "cores": 4,
                "throttled": False,
                "under_voltage": False,
            },
        },
    },
    "cmd": {
        "replay": {
            "schema": "park.cmd/1",
            "id": "01JD8Z3Q6W",
            "name": "replay",
            "args": {"device": "meter-7", "epoch": "k7f2", "from_seq": 48100, "to_seq": 48160},
            "deadline": _NOW + 60_000,
            "by": "ingest-2",
        },
        "ping": {"schema": "park.cmd/1", "id": "01JD8Z3Q6X", "name": "ping", "args": {}, "deadline": _NOW},
    },
    "reply": {
        "replay": _GATEWAY
        | {
            "schema": "park.reply/1",
            "id": "01JD8Z3Q6W",
            "name": "replay",
            "status": "ok",
            "ts": _NOW + 250,
            "result": {"to_seq": 48160, "queued": 51, "unavailable": [[48100, 48109, "gone"]], "pending": []},
        },
        "too-late": _GATEWAY
        | {
            "schema": "park.reply/1",
            "id": "01JD8Z3Q6X",
            "name": "ping",
            "status": "expired",
            "ts": _NOW + 5_000,
            "reason": "deadline",
        },
    },
}
"""By topic, then by what the example shows."""
