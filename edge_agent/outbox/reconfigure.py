"""What changes in the file when the configuration does: who keeps readings, and who is owed them."""

import sqlite3
from collections.abc import Mapping, Sequence

from edge_agent.clock import Clock
from edge_agent.outbox import events, exclusions
from edge_agent.outbox.admission import admit
from edge_agent.outbox.opened import Opened
from edge_agent.outbox.policy import Enrolment, Selection
from edge_agent.outbox.seal import SIGNED, seal, sign
from edge_agent.outbox.store import transaction
from edge_agent.outbox.timeline import Timeline
from edge_agent.outbox.transactions import enroll
from edge_agent.row import Stream


def present(epoch: str, next_id: int, timeline: Timeline, clock: Clock, streams: dict[int, Stream]) -> Opened:
    """Return the file as a run knows it that has nothing unwritten, but for what it says of uplinks."""
    boot = timeline.boot
    ran_ms = {boot: int(timeline.running_ms(boot, clock.mono_ms()))}
    return Opened(epoch, next_id, next_id, boot, ran_ms, {}, streams, runs=0, kept=0, lost=0)


def change(
    db: sqlite3.Connection, now: Opened, uplinks: Mapping[str, Selection], devices: Sequence[Enrolment]
) -> list[tuple[int, int]]:
    """Admit uplinks and enroll devices, in one transaction; return each device's stream and description.

    ``now`` is what ``present`` returned; what it says of uplinks is filled in. From its next reading on a
    device is on the uplinks that select it, and on no others. A new one is also on those that are parked and
    got everything, as it would be without that.
    """
    with transaction(db):
        admit(db, now, uplinks)
        names = {admitted.id: name for name, admitted in now.uplinks.items()}
        off = {
            (uplink, stream)
            for uplink, runs in now.exclusions.items()
            for stream, _, to in runs
            if to is None
        }
        enrolled = []
        for device in devices:
            stream, meta = enroll(db, device.device, device.hash, device.description)
            enrolled.append((stream, meta))
            known = now.streams.get(stream) or Stream(stream, now.epoch, device.device, 1)
            wanted = {
                uplink: device.device in uplinks[name] if name in uplinks else now.uplinks[name].everything
                for uplink, name in names.items()
                if name in uplinks or known.next_seq == 1  # one that is parked never heard of it
            }
            leaves = [uplink for uplink, on in wanted.items() if not on and (uplink, stream) not in off]
            joins = [uplink for uplink, on in wanted.items() if on and (uplink, stream) in off]
            events.is_back(db, device.device, [uplink for uplink, on in wanted.items() if on])
            exclusions.enrol(db, stream, known.next_seq, joins, leaves)
        now.exclusions = exclusions.load(db)
        sign(db, *SIGNED)
        seal(db)
    return enrolled
