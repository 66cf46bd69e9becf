"""A meter model as data: which items of DL/T 645 are read, how they are written, and which are read together.

Nothing in a profile is conditional, computed or included. What needs that is a driver.
"""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edge_agent.driver import (
    ChannelName,
    FactoryFormat,
    Implausible,
    Quantity,
    Ratio,
    Settings,
    form,
    read_profile,
)

Identifier = Annotated[
    str,
    form(r"[0-9A-F]{4}|[0-9A-F]{8}", "is no identifier; write the 8 or 4 digits of the table, A to F large"),
]
_SIGN = 0x80
_DIGITS_OF = {2007: 8, 1997: 4}  # of an identifier


class Item(Settings):
    """One channel's data item, and how its value is told.

    ``item`` is the identifier as in the standard's tables. ``digits`` is its format there, such as
    ``XXX.X``: packed BCD, two digits a byte; ``signed`` says that the top bit of the highest byte is a sign.
    A value is multiplied by ``scale``, which brings it to the quantity's unit (1000 for kW), and by the
    installation's transformer ratio where ``ratio`` names one.
    """

    name: ChannelName
    quantity: Quantity
    item: Identifier
    digits: Annotated[
        str,
        Field(max_length=17),
        form(r"X+(\.X+)?", "is no format; write it as the table does, such as XXX.X"),
    ]
    signed: bool = False
    scale: float = Field(default=1, gt=0, allow_inf_nan=False)
    ratio: Ratio = ""
    label: str = ""
    label_zh: str = ""

    @model_validator(mode="after")
    def _fills_bytes(self) -> Self:
        if self.digits.count("X") % 2:
            raise ValueError(f"{self.name} has an odd number of digits; two are a byte, so write X once more")
        return self

    @property
    def size(self) -> int:
        """How many bytes the value takes."""
        return self.digits.count("X") // 2

    def value(self, raw: bytes, ratio: Decimal) -> float | None:
        """Return the value of ``size`` bytes, None where the meter filled them with FF.

        Raises:
            Implausible: these are no digits.
        """
        if raw == b"\xff" * self.size:
            return None
        negative = self.signed and raw[-1] & _SIGN
        written = (raw[:-1] + bytes([raw[-1] & ~_SIGN]) if negative else raw)[::-1].hex()
        if not written.isdecimal():
            raise Implausible(f"{self.item} is {raw[::-1].hex(' ')}, which are no digits")
        number = -int(written) if negative else int(written)
        places = len(self.digits.partition(".")[2])
        return float(Decimal(number).scaleb(-places) * Decimal(repr(self.scale)) * ratio)


class Exchange(Settings):
    """One request and its response, in hex as they are on the wire."""

    request: str
    response: str


class Vector(Settings):
    """A whole poll of meter 7 and what it means: test and documentation in one.

    ``source`` says where it was recorded; what was computed by hand from the documented formats is
    ``synthetic``. ``unknown`` names the channels that are expected as None.
    """

    name: str
    source: str = ""
    synthetic: bool = False
    says: tuple[Exchange, ...]
    expect: dict[str, float]
    unknown: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _from_somewhere(self) -> Self:
        if bool(self.source) is self.synthetic:
            raise ValueError("has no source; name it, or write synthetic = true if it is computed by hand")
        return self


class Profile(Settings):
    """A meter model.

    ``source`` names document, edition and page. ``quality`` is its step on the scale of drivers, and
    ``unconfirmed`` what in it rests on one source only, or on none that is public. ``serial`` is the
    factory's format, "" where the source does not tell it. ``blocks`` names the identifiers that read
    several items at once, each with the first item in its answer: ``0201FF00 = "02010100"`` begins with
    02010100, and goes on with 02010200 and 02010300.
    """

    title: str = Field(min_length=1)
    source: str = Field(min_length=1)
    quality: Literal["bronze", "silver", "gold"] = "bronze"
    unconfirmed: str = ""
    serial: FactoryFormat = ""
    edition: Literal[1997, 2007]
    blocks: dict[Identifier, Identifier] = Field(default_factory=dict)
    channels: tuple[Item, ...] = Field(min_length=1)
    vector: tuple[Vector, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for what in ("name", "item"):
            told = [getattr(entry, what) for entry in self.channels]
            if twice := sorted({one for one in told if told.count(one) > 1}):
                raise ValueError(f"{what} {', '.join(twice)} is there twice; give each channel its own")
        identifiers = [*self.blocks, *self.blocks.values(), *(entry.item for entry in self.channels)]
        digits = _DIGITS_OF[self.edition]
        if odd := [one for one in identifiers if len(one) != digits]:
            raise ValueError(f"{odd[0]} is no identifier of {self.edition}; those have {digits} digits")
        for block, first in self.blocks.items():
            sizes = {entry.size for entry in self.channels if place(block, first, entry.item) is not None}
            if len(sizes) > 1:
                raise ValueError(f"the items of block {block} differ in size; give them the same digits")
            if place(block, first, first) is None:
                raise ValueError(f"{first} is not in block {block}; write the first item of its answer")
        return self


def place(block: str, first: str, item: str) -> int | None:
    """Return the place of an item in a block's answer, 0 for the first; None where it is not in there.

    A block is written as its items, with F for the digits in which they differ.
    """
    varies = [at for at, (one, other) in enumerate(zip(block, first, strict=True)) if one != other]
    fixed = [at for at in range(len(block)) if at not in varies]
    counted = "".join(item[at] for at in varies)
    if not counted or any(block[at] != "F" for at in varies) or any(block[at] != item[at] for at in fixed):
        return None
    offset = int(counted, 16) - int("".join(first[at] for at in varies), 16)
    return offset if offset >= 0 and set(counted) != {"F"} else None


def load(name: str) -> Profile:
    """Return a profile by its name. Raises ValueError when there is none, or it breaks a rule."""
    return read_profile("dlt645", name, Profile)
