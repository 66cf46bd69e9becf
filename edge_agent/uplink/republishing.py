"""What was here: the descriptions that older readings were made under, to be sent once more."""

from collections.abc import Mapping

import orjson

from edge_agent.uplink.interfaces import Gateway
from edge_agent.uplink.message import Outgoing
from edge_agent.uplink.selection import Passes, narrowed
from edge_agent.uplink.topics import Topics

_MOST = 100


def older_descriptions(
    gateway: Gateway,
    topics: Topics,
    descriptions: Mapping[int, tuple[str, str]],
    passes: Passes,
    device: str | None,
) -> list[Outgoing]:
    """Return the newest descriptions that are none of the present ones, of all devices or of one.

    They are not to be retained: what is retained is what a device is now.
    """
    found = []
    for _, (hash_, body) in sorted(descriptions.items()):
        of = orjson.loads(body)["device"]
        described = narrowed(hash_, body, passes)[1]
        if of in gateway.metas and device in {None, of} and described != gateway.metas[of]:
            found.append(Outgoing(topics.meta(of), described.encode()))
    return found[-_MOST:]
