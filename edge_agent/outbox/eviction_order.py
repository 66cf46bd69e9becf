"""In which order a full outbox gives up what is owed: by class, and in a class as each device says. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from edge_agent.outbox.policy import USUAL, Care
from edge_agent.row import Stream

CLASSES = ("bulk", "normal", "critical")  # in the order in which they go
_MOST_THINNED = 64  # then even the readings that were left go, the oldest first


class Stage(NamedTuple):
    """One way through the log, oldest first: some streams go wholly, of others each ``every``-th stays."""

    name: str
    whole: tuple[int, ...]
    thin: tuple[int, ...] = ()
    every: int = 0


def stages(streams: Iterable[Stream], cares: Mapping[str, Care]) -> list[Stage]:
    """Return the stages, first to last. A device that is not configured any more is cared for as usual.

    What a device that refuses has kept goes only where a more important class would go otherwise.
    """
    by_care: dict[Care, list[int]] = {}
    for stream in streams:
        by_care.setdefault(cares.get(stream.device, USUAL), []).append(stream.id)
    made = []
    for at, class_ in enumerate(CLASSES):
        oldest = tuple(by_care.get(Care(class_, "oldest"), ()))  # type: ignore[arg-type]  # one of the three
        thin = tuple(by_care.get(Care(class_, "thin"), ()))  # type: ignore[arg-type]
        refuse = tuple(by_care.get(Care(class_, "refuse"), ()))  # type: ignore[arg-type]
        every = 2
        while thin and every <= _MOST_THINNED:
            made.append(Stage(f"{class_} {every}", oldest, thin, every))
            every *= 2
        if oldest or thin:
            made.append(Stage(class_, oldest + thin))
        if refuse and any(care.class_ in CLASSES[at + 1 :] for care in by_care):
            made.append(Stage(f"{class_} refused", refuse))
    return made
