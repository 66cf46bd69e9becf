"""What stands beside a message of MQTT 5 for consumers of CloudEvents. It repeats the payload.

CloudEvents 1.0.2, 3.1 (attributes), and its MQTT protocol binding 1.0.2, 3.1 (binary content mode).
"""

from datetime import UTC, datetime

Attributes = tuple[tuple[str, str], ...]


def attributes(source: str, schema: str, id_: str, ts: int) -> Attributes:
    """Return a message's: ``source`` is the gateway's topic, ``ts`` its time in ms since 1970 UTC."""
    time = datetime.fromtimestamp(max(0, ts) / 1000, UTC).isoformat(timespec="milliseconds")
    return (
        ("specversion", "1.0"),
        ("id", id_),
        ("source", source),
        ("type", schema),
        ("time", time.replace("+00:00", "Z")),
    )
