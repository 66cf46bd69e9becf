"""MQTT to PostgreSQL: each reading once, whatever is killed when. Needs paho-mqtt and psycopg.

A message is acknowledged after the commit, never before: what was not committed comes again, and what comes
again changes nothing, since a reading is known by (gateway, device, epoch, seq). Run several, in one group,
each with a name of its own: the name is the session, in which the broker keeps what it owes one that is away.

    python ingest.py ingest-1 --broker 127.0.0.1:1883 --database "dbname=park"
"""

import argparse
import gzip
import json
import logging
import zlib
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

log = logging.getLogger("ingest")

READING = """
INSERT INTO reading VALUES (%s, %s, %s, %s, to_timestamp(%s / 1000.0), %s, %s, %s, %s)
ON CONFLICT (gateway, device, epoch, seq) DO UPDATE
SET measured_at = excluded.measured_at, true_time = true
WHERE excluded.true_time > reading.true_time"""  # a repaired time replaces an estimate, and that is all

STREAM = """
INSERT INTO stream VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (gateway, device, epoch) DO UPDATE
SET since = least(stream.since, excluded.since), settled = greatest(stream.settled, excluded.settled)"""

LOSS = """
INSERT INTO loss VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (gateway, epoch, seq) DO UPDATE SET from_seq = excluded.from_seq, to_seq = excluded.to_seq"""


def write(database: psycopg.Connection, told: dict[str, Any]) -> None:
    """Write one message in one transaction."""
    stream = told["gateway"], told["device"], told["epoch"]
    with database.transaction(), database.cursor() as cursor:
        if told["schema"] == "park.loss/1":
            cursor.execute(LOSS, (*stream, told["seq"], told["from_seq"], told["to_seq"], told["reason"]))
        elif told["schema"] == "park.data/1":
            rows = [(*stream, *columns(reading, told["meta"])) for reading in told["readings"]]
            cursor.executemany(READING, rows)
            cursor.execute(STREAM, (*stream, told["settled"], told["settled"]))
        else:
            raise ValueError(f"schema {told['schema']} is not known here")


def columns(reading: dict[str, Any], meta: str) -> tuple[Any, ...]:
    """Return what one reading is in its row."""
    quality = json.dumps(reading["quality"]) if "quality" in reading else None
    true_time = reading.get("clock") != "unsynchronised"
    return reading["seq"], reading["ts"], true_time, meta, json.dumps(reading["values"]), quality


def main() -> None:
    """Subscribe, and write until killed. A database that is away ends it: the supervisor starts it again."""
    options = argparse.ArgumentParser()
    options.add_argument("name", help="of this instance, for ever: the broker keeps its session under it")
    options.add_argument("--broker", default="127.0.0.1:1883")
    options.add_argument("--database", default="", help="of libpq, such as 'host=db dbname=park'")
    options.add_argument("--group", default="ingest")
    options.add_argument("--root", default="park/v1")
    chosen = options.parse_args()

    database = psycopg.connect(chosen.database, autocommit=True)
    with database.transaction():
        database.execute(
            "SELECT pg_advisory_xact_lock(1)"
        )  # two that start at once would both make the tables
        database.execute(Path(__file__).with_name("schema.sql").read_text("utf-8"))

    def on_message(client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        try:
            packed = message.payload.startswith(b"\x1f\x8b")  # history, where an uplink has gzip = true
            write(database, json.loads(gzip.decompress(message.payload) if packed else message.payload))
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, psycopg.DataError):
            log.exception("not of the contract, left out: %s", message.topic)
        client.ack(message.mid, message.qos)

    def on_connect(client: mqtt.Client, *_: Any) -> None:
        shared = f"$share/{chosen.group}/{chosen.root}/+/+"
        client.subscribe([(f"{shared}/{kind}/+", 1) for kind in ("data", "history", "loss")])

    client = mqtt.Client(CallbackAPIVersion.VERSION2, chosen.name, protocol=mqtt.MQTTv5, manual_ack=True)
    client.on_connect, client.on_message = on_connect, on_message
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    properties.SessionExpiryInterval = 86_400  # s: so long may this instance be away
    properties.ReceiveMaximum = 50  # messages that one works at; the others go to other instances
    host, _, port = chosen.broker.rpartition(":")
    client.connect(host, int(port), clean_start=False, properties=properties)
    client.loop_forever()


if __name__ == "__main__":
    main()
