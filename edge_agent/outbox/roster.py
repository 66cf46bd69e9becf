"""The devices whose readings are kept now: where each goes, and how much it matters."""

from collections.abc import Sequence

from edge_agent.outbox.handover import Enrolled
from edge_agent.outbox.policy import Care, Enrolment
from edge_agent.outbox.witness import Known


class Roster:
    """All of them, each with the ids of its stream and its description.

    ``refusing`` are the streams of those whose newest readings go when there is no room; ``known`` is for the
    witness.
    """

    def __init__(self, devices: Sequence[Enrolment] = (), enrolled: Sequence[tuple[int, int]] = ()) -> None:
        self.devices = tuple(devices)
        self.enrolled: dict[str, Enrolled] = {}
        self.cares: dict[str, Care] = {}
        self.known: dict[str, Known] = {}
        self.refusing: set[int] = set()
        self.descriptions: dict[int, tuple[str, str]] = {}
        for device, (stream, meta) in zip(devices, enrolled, strict=True):
            self.enrolled[device.device] = Enrolled.of(stream, meta, device.names)
            self.cares[device.device] = device.care
            self.known[device.device] = Known(stream, meta, device.hash, device.description)
            self.descriptions[meta] = device.hash, device.description
            if device.care.when_full == "refuse":
                self.refusing.add(stream)
