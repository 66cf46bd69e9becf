"""What any design must pay for the same readings: rows written, payloads encoded, bytes published."""

import select
import socket
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.outbox.writer import MOST_PER_COMMIT
from edge_agent.row import Row
from edge_agent.uplink.window import MOST_MESSAGES

_WAIT_S = 10.0
_SLICE = 50  # messages decoded at a time


def written(path: Path, rows: Sequence[tuple[Row, Sequence[object]]]) -> float:
    """Return the seconds of CPU that encoding the values and executemany of the rows take."""
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("page_size=1024", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=4096"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, a, b, c, d, e, f, g)")
    began = time.process_time()
    for at in range(0, len(rows), MOST_PER_COMMIT):
        part = [
            (*row[:6], orjson.dumps(values)[:-1] + b"]", 0) for row, values in rows[at : at + MOST_PER_COMMIT]
        ]
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO log VALUES (?,?,?,?,?,?,?,?)", part)
        db.execute("COMMIT")
    spent = time.process_time() - began
    db.close()
    return spent


def encoded(payloads: Sequence[bytes]) -> float:
    """Return the seconds of CPU that orjson takes for these payloads, their objects made beforehand."""
    spent = 0.0
    for at in range(0, len(payloads), _SLICE):
        objects = [orjson.loads(payload) for payload in payloads[at : at + _SLICE]]
        began = time.process_time()
        for made in objects:
            orjson.dumps(made)
        spent += time.process_time() - began
    return spent


def published(port: int, payloads: Sequence[bytes]) -> float:
    """Return the seconds of CPU that paho takes for these payloads at a window of 20 messages, QoS 1."""
    client = Client(CallbackAPIVersion.VERSION2, "floor", protocol=MQTTv5)
    flying, connected = 0, False

    def connack(*_: object) -> None:
        nonlocal connected
        connected = True

    def acked(*_: object) -> None:
        nonlocal flying
        flying -= 1

    client.on_connect, client.on_publish = connack, acked
    client.connect("127.0.0.1", port)

    sock = client.socket()
    assert isinstance(sock, socket.socket)

    def wait() -> None:
        writers = [sock] if client.want_write() else []
        readable, writable, _ = select.select([sock], writers, [], _WAIT_S)
        assert readable or writable, "the broker does not answer"
        if writable:
            client.loop_write()
        if readable:
            client.loop_read()

    while not connected:
        wait()
    began = time.process_time()
    for payload in payloads:
        while flying >= MOST_MESSAGES:
            wait()
        client.publish("floor", payload, 1)
        flying += 1
    while flying:
        wait()
    spent = time.process_time() - began
    client.disconnect()
    return spent
