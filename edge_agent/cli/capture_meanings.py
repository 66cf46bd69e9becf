"""What the frames of a capture mean, one after the other."""

from collections.abc import Iterator
from typing import Any

from edge_agent.bus.framing import Framer
from edge_agent.cli.decode import Given, meaning
from edge_agent.driver import Driver, Over
from edge_agent.onsite.capture import Piece
from edge_agent.onsite.replay import exchanges


def meanings(
    record: Driver[Any], name: str, settings: dict[str, Any], pieces: list[Piece]
) -> Iterator[dict[str, Any]]:
    """Yield what ``meaning`` says of each frame or exchange, with its time ``t`` in the capture, in seconds.

    Raises:
        ValueError: the settings do not fit.
    """
    if record.over is Over.STREAM:
        framer = Framer(record.cut) if record.cut else None
        for piece in pieces:
            for frame in framer.feed(piece.content) if framer and piece.direction == "heard" else []:
                yield {"t": piece.t} | meaning(record, name, settings, Given(frame=frame))
        return
    for exchange in exchanges(pieces):
        answer = b"".join(content for _, content in exchange.answer)
        if not answer:
            yield {"t": exchange.t, "fault": "NoAnswer", "reason": "nothing was heard after the request"}
            continue
        given = Given(request=exchange.request, response=answer)
        yield {"t": exchange.t} | meaning(record, name, settings, given)
