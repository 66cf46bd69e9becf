"""What stands in the files of the configuration, as forms need it, and the text that a change makes of it."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_agent.console.overview import Ask
from edge_agent.settings import overrides
from edge_agent.settings.edit import with_table, without_table


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bus or a device stands. ``own``: in the file that the console writes.

    ``says`` is its table, None where that holds a secret in clear. ``mark`` tells what the table of the other
    file says which holds, or would hold without the console's; ``instead_of`` is where that one stands.
    """

    table: str
    id: str
    file: str
    line: int
    own: bool
    says: Mapping[str, Any] | None
    secret: bool
    mark: str
    instead_of: str


@dataclass(frozen=True, slots=True)
class Known:
    """All of it as it is now. ``removed`` are those of other files that the console's leaves out."""

    file: str
    text: str
    mark: str
    places: Sequence[Place]
    removed: Sequence[Place]
    problems: Sequence[Mapping[str, Any]]
    changes: Sequence[Mapping[str, Any]]

    def place(self, kind: str, id_: str) -> Place | None:
        """Return where something stands, in any file."""
        return next((one for one in self.places if (one.table, one.id) == (kind, id_)), None)

    def says(self, kind: str, id_: str) -> dict[str, Any]:
        """Return a table as it holds, to be changed; an empty one where there is none."""
        place = self.place(kind, id_)
        return copy.deepcopy(dict(place.says)) if place and place.says else {}

    def ids(self, kind: str) -> list[str]:
        """Return those of all files."""
        return [one.id for one in self.places if one.table == kind]

    def buses(self) -> dict[str, str]:
        """Return the port or the adapter of each bus."""
        said = {one.id: one.says or {} for one in self.places if one.table == "bus"}
        return {id_: str(bus.get("ble") or bus.get("port", "")) for id_, bus in said.items()}

    def base(self, kind: str, id_: str) -> str:
        """Return the mark of what another file says of it; "" where none does."""
        found = [one for one in (*self.places, *self.removed) if (one.table, one.id) == (kind, id_)]
        return found[0].mark if found else ""

    def with_one(self, kind: str, id_: str, values: Mapping[str, Any], base: str = "") -> str:
        """Return the console's text with a table that says this, made from the one with the mark ``base``."""
        mark = base or self.base(kind, id_)
        return with_table(self.text, (kind, id_), {**({overrides.REPLACES: mark} if mark else {}), **values})

    def but(self, text: str) -> "Known":
        """Return the same with another text of the console's file."""
        return replace(self, text=text)

    def without(self, kind: str, id_: str) -> str:
        """Return the text in which something is no more, wherever it stands."""
        if mark := self.base(kind, id_):
            return with_table(self.text, (kind, id_), overrides.removal(mark))
        return without_table(self.text, (kind, id_))

    def as_elsewhere(self, kind: str, id_: str) -> str:
        """Return the text in which what another file says of it holds again."""
        return without_table(self.text, (kind, id_))


async def known(ask: Ask) -> Known:
    """Return what there is now."""
    told = await ask("configuration", {})
    places, removed = (
        [Place(**place, own=place["file"] == told["file"]) for place in told[key]]
        for key in ("places", "removed")
    )
    return Known(told["file"], told["text"], told["mark"], places, removed, told["problems"], told["changes"])
