"""What an uplink needs from the rest of the agent: its share of the log, and the facts it tells."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from edge_agent.row import Declared, Moment, RangeStatus, Row, Run, Stream
from edge_agent.status import Availability, Status


class LogReader(Protocol):
    """How an uplink reads its share of the log, at most ``limit`` rows at a time."""

    async def read(self, from_id: int, to_id: int, limit: int) -> list[Row]:
        """Read a piece of the log, both ends included, at most ``limit`` rows."""

    async def read_events(self, from_id: int, to_id: int, limit: int) -> tuple[list[Row], int]:
        """Read on in the events that are owed; return at most ``limit`` rows, and where to read on."""

    async def read_repairs(self, from_id: int, limit: int) -> tuple[list[Row], int]:
        """Read on in what goes out once more with its true time; return the rows, and where to read on."""

    async def range_status(self, stream: int, first: int, last: int) -> RangeStatus:
        """Say what became of the numbers from first to last, or of as many as fit into an answer."""

    async def read_range(  # noqa: PLR0913, PLR0917 - all that rows are found by
        self, stream: int, first: int, last: int, from_id: int, to_id: int, limit: int
    ) -> tuple[list[Row], int]:
        """Read rows of a stream between two log ids; return at most ``limit``, and where to read on."""


class OwedRepairs(Protocol):
    """Rows that the broker has taken without a true time: they go out once more when it is learnt."""

    def owe(self, rows: Sequence[Row]) -> None:
        """The broker has taken these without a true time."""

    def following(self, id_: int) -> tuple[int, int] | None:
        """Return the first run of log ids from this one on that go out once more, None without any."""

    def drop_below(self, id_: int) -> None:
        """All that go out once more and have a log id below this one have done so."""


class Delivery(Protocol):
    """One uplink's share of the log, and what it is still owed of it.

    ``retired``: the devices that are gone from it, and in which event (stream and number) that was told.
    ``outlived`` says whether a row is older than what is acknowledged is kept for.
    """

    streams: dict[int, Stream]
    name: str
    retired: dict[str, tuple[int, int]]
    backlog: int
    acknowledged: int
    last_id: int
    on_kept: Callable[[Sequence[Run], Sequence[Declared]], None] | None
    low_water: Callable[[], int] | None
    low_water_of_readings: Callable[[], int] | None
    outlived: Callable[[Row], bool]
    losses_taken: Callable[[], int]

    @property
    def log(self) -> LogReader:
        """Reads what is on disk."""

    @property
    def repairs(self) -> OwedRepairs:
        """What goes out once more with its true time."""

    @property
    def scan_from(self) -> int:
        """The lowest log id that may still be owed."""

    def settled(self, stream: int) -> int:
        """All readings of a stream up to this number are acknowledged or declared lost."""

    def owes(self, stream: int, seq: int) -> bool:
        """Say whether a reading was not acknowledged yet."""

    def owes_any(self, stream: int, first: int, last: int) -> bool:
        """Say whether one of the readings from first to last is owed."""

    def former(self, devices: Collection[str]) -> list[str]:
        """Return devices that were on this uplink, are none of these, and of which nothing is owed to it."""

    def settle(self, stream: int, first: int, last: int) -> None:
        """Accept: the broker has taken these readings."""

    def settle_loss(self, loss: Declared) -> None:
        """Accept: the broker has taken the declaration of a loss."""

    async def reject(self, row: Row, why: str) -> Declared:
        """Give up a reading that the broker can never take: a copy is set aside, the ledger says why."""

    def rewind(self) -> None:
        """A session ended: what it did not acknowledge will be read from the log again."""

    async def open_losses(self, above: int, limit: int) -> list[Declared]:
        """Return the ledger entries above one that were not acknowledged, oldest first."""

    async def count_session(self) -> int:
        """Count one more CONNECT."""

    async def descriptions(self) -> dict[int, tuple[str, str]]:
        """Return every description by id: its hash and its JSON body."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What an uplink tells about.

    ``metas`` has the JSON of the description of each device that is on it; it changes with the configuration.

    ``now`` is the present moment; ``moment`` tells when a row was made; ``offset`` what makes true times of
    those of a boot between two, None where there is not one such; ``clock_known`` whether rows made now get a
    true time, and looks at the clocks while they do not; ``availability`` gives a device's availability
    since when, in ms since 1970, and why it is not online. ``retire`` has an event made of it that a device
    is gone from this uplink.
    """

    site: str
    id: str
    epoch: str
    version: str
    metas: dict[str, str]
    now: Callable[[], Moment]
    moment: Callable[[int, int], Moment]
    offset: Callable[[int, int, int], int | None]
    clock_known: Callable[[], bool]
    clock_wait: float
    availability: Callable[[str], tuple[Availability, int, str]]
    snapshot: Callable[[], Status]
    retire: Callable[[str], None] = lambda _device: None


class Acknowledged(NamedTuple):
    """A message of readings that the broker has taken: numbers ``first`` to ``last`` of one device."""

    uplink: str
    device: str
    epoch: str
    first: int
    last: int
    payload: bytes
