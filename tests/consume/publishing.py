"""Publish what a gateway might have, as fast as the broker takes it."""

import threading
from collections.abc import Sequence

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


def publish(port: int, messages: Sequence[tuple[str, bytes]], within: float = 60) -> int:
    """Publish with QoS 1 and wait for every PUBACK; return how many there were."""
    done, acknowledged = threading.Event(), 0

    def acked(_c: object, _d: object, _mid: int, code: object, _p: object) -> None:
        nonlocal acknowledged
        assert not getattr(code, "is_failure", False)
        acknowledged += 1
        if acknowledged == len(messages):
            done.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_queued_messages_set(0)
    client.on_publish = acked
    client.connect("127.0.0.1", port)
    for topic, payload in messages:
        client.publish(topic, payload, 1)
    client.loop_start()
    assert done.wait(within), f"{acknowledged} of {len(messages)} were acknowledged"
    client.disconnect()
    client.loop_stop()
    return acknowledged
