"""Topics are those of the contract."""

import pytest

from edge_agent.uplink.topics import Topics

_TOPICS = Topics("park/v1/east-park/gw-01")


@pytest.mark.parametrize(
    ("made", "topic"),
    [
        (_TOPICS.status, "status"),
        (_TOPICS.health, "health"),
        (_TOPICS.meta("meter-7"), "meta/meter-7"),
        (_TOPICS.state("meter-7"), "state/meter-7"),
        (_TOPICS.loss("meter-7"), "loss/meter-7"),
        (_TOPICS.readings("live", "meter-7"), "data/meter-7"),
        (_TOPICS.readings("history", "meter-7"), "history/meter-7"),
    ],
)
def test_topics(made: str, topic: str) -> None:
    assert made == f"park/v1/east-park/gw-01/{topic}"
