"""All figures of a forecast in one place: what ``plan`` tells and diagnostics keep."""

from typing import Any

from edge_agent.forecast import line_load, traffic
from edge_agent.forecast.measured import CARD_BYTES
from edge_agent.settings.model import Config


def figures(config: Config, card: float = CARD_BYTES) -> dict[str, Any]:
    """Return all figures, as ``--json`` prints them. Sizes in bytes; ``card``: what may be written to it."""
    sources = traffic.sources(config)
    kept, written = (
        traffic.kept_bytes_s(sources),
        traffic.written_bytes_s(sources, config.outbox.window),
    )
    return {
        "devices": len(sources),
        "readings_s": round(sum(source.rate for source in sources), 3),
        "outbox": {
            "max_size": config.outbox.max_size,
            "bytes_day": round(kept * traffic.DAY_S),
            "outage_hours": round(config.outbox.max_size / kept / 3600, 1) if kept else None,
        },
        "card": {
            "written_day": round(written * traffic.DAY_S),
            "endurance": round(card),
            "years": round(card / written / traffic.YEAR_S, 1) if written else None,
        },
        "uplinks": {
            name: {"bytes_month": round(traffic.sent_bytes_s(config, uplink, sources) * traffic.MONTH_S)}
            for name, uplink in config.uplink.items()
        },
        "buses": {
            load.bus: {
                "serial": load.serial,
                "busy": round(load.busy, 3),
                "polls": {
                    poll.device: {
                        "requests": poll.requests,
                        "seconds": poll.seconds,
                        "interval": poll.interval,
                    }
                    for poll in load.polls
                },
            }
            for load in line_load.loads(config)
        },
    }
