"""The measured sizes that forecasts rest on, in this one place. Tests hold them against what is measured."""

ROW_BYTES, VALUE_BYTES = 29.0, 7.2
"""What a kept reading takes in the outbox file, and each of its values more (tests/forecast)."""

BENCH_VALUES = 5
"""Values in each reading of ``WRITTEN``."""

WRITTEN = {
    (1, 1): 3518.0,
    (1, 10): 1315.0,
    (10, 1): 894.0,
    (10, 10): 272.0,
    (100, 1): 232.0,
    (100, 10): 149.0,
    (1000, 1): 196.0,
    (1000, 10): 211.0,
}
"""Bytes written to disk for a reading, by readings a second and window in seconds: docs/performance.md,
"Bytes written", measured by ``python -m benchmarks.written``."""

CARD_BYTES = 32e9 * 1000 / 4
"""What may be written to a card until it is worn out: 32 GB, each cell 1,000 times, 4 bytes written inside
for each that comes. An assumption, as in docs/performance.md; the maker of the card knows better."""

PACKET_BYTES = 34
"""Of a PUBLISH besides topic and payload: header, lengths, packet id, MQTT 5 content type and format."""

SEGMENT_BYTES = 52
"""TCP and IPv4 headers with time stamps (RFC 9293, RFC 7323, RFC 791)."""

SEGMENTS = 3
"""For a message: itself, its PUBACK, and what TCP itself confirms."""

TLS_BYTES = 22
"""Around each record of TLS 1.3 (RFC 8446, 5.2)."""

PUBACK_BYTES = 4
HEALTH_BYTES, HEALTH_EVERY_S = 420, 30.0
