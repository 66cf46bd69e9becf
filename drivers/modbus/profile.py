"""A Modbus device model as data: which registers mean what.

Nothing in a profile is conditional, computed or included. What needs that is a driver.
"""

import math
import struct
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from edge_agent.driver import ChannelName, FactoryFormat, Quantity, Ratio, Read, Settings, Table, read_profile

MOST_REGISTERS = 125  # in one request; MODBUS Application Protocol V1.1b3, 6.3
_FORMATS = {
    "u16": ">H",
    "i16": ">h",
    "u32": ">I",
    "i32": ">i",
    "u64": ">Q",
    "i64": ">q",
    "f32": ">f",
    "f64": ">d",
    "bool": ">H",
}
_BIT_TABLES = {"coil", "discrete"}
_LAST = 65_535


class Register(Settings):
    """One channel's place in the register map, and how its value is told.

    ``invalid`` has the contents, read as one unsigned number, by which the device says that it does not
    know. A value is ``contents * scale + offset``, times the installation's transformer ratio where
    ``ratio`` names one. A ``bool`` in a table of words is the ``bit`` of its register, 0 the lowest; a
    number may be a field of ``bits`` bits from ``bit`` on. ``enum`` says what each code means; a code
    that is not in it is not known.
    """

    name: ChannelName
    quantity: Quantity
    table: Table
    at: int = Field(ge=0, le=_LAST)
    type: Literal["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "bool"]
    words: Literal["big", "little"] = "big"
    scale: float = Field(default=1, allow_inf_nan=False)
    offset: float = Field(default=0, allow_inf_nan=False)
    invalid: tuple[Annotated[int, Field(ge=0)], ...] = ()
    bit: int = Field(default=0, ge=0, le=63)
    bits: int = Field(default=0, ge=0, le=63)
    enum: Mapping[str, bool | int | float | str] = Field(default_factory=dict)
    ratio: Ratio = ""
    label: str = ""
    label_zh: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.end > _LAST + 1:
            raise ValueError(f"{self.name} reaches beyond register {_LAST}")
        if self.table in _BIT_TABLES and self.type != "bool":
            raise ValueError(f'{self.name} lies in table {self.table}, which holds bits; its type is "bool"')
        if self.scale == 0:
            raise ValueError(f"{self.name} has scale 0")
        whole = 16 * (self.end - self.at)
        if any(code >> whole for code in self.invalid):
            raise ValueError(f"{self.name} has an invalid code of more than {whole} bits, which never comes")
        if self.bit and (self.table in _BIT_TABLES or not (self.bits or self.type == "bool")):
            raise ValueError(f"{self.name} has a bit; that is for a bool in a table of words, or with bits")
        if self.bits and self.type not in {"u16", "u32", "u64"}:
            raise ValueError(f'{self.name} is a field of bits; its type is "u16", "u32" or "u64"')
        if self.bit + max(self.bits, 1) > whole:
            raise ValueError(f"{self.name} has no bit {self.bit + max(self.bits, 1) - 1}")
        if self.enum and self.type in {"bool", "f32", "f64"}:
            raise ValueError(f"{self.name} has an enum, which is for whole numbers")
        return self

    @property
    def end(self) -> int:
        """The first register after this one."""
        return self.at + struct.calcsize(_FORMATS[self.type]) // 2

    def inside(self, request: Read) -> bool:
        """Tell whether a request covers this register wholly."""
        asked_end = request.start + request.count
        return self.table == request.table and request.start <= self.at and self.end <= asked_end

    def value(self, block: bytes, first: int, ratio: Decimal) -> float | bool | str | None:
        """Cut the value out of a block, in which it begins ``first`` registers (or bits) from the start."""
        if self.table in _BIT_TABLES:
            return bool(block[first // 8] >> first % 8 & 1)
        raw = block[2 * first : 2 * (first + self.end - self.at)]
        if self.words == "little":
            raw = b"".join(raw[at : at + 2] for at in reversed(range(0, len(raw), 2)))
        if int.from_bytes(raw) in self.invalid:
            return None
        (number,) = struct.unpack(_FORMATS[self.type], raw)
        if self.type == "bool":
            return bool(number >> self.bit & 1)
        if self.bits:
            number = number >> self.bit & (1 << self.bits) - 1
        if self.enum:
            return self.enum.get(str(number))
        return self._scaled(number, ratio)

    def _scaled(self, number: float, ratio: Decimal) -> float | None:
        if not math.isfinite(number):
            return None
        if isinstance(number, int) and self.scale == 1 and self.offset == 0 and not self.ratio:
            return number
        # In decimal, for 305 * 0.1 is 30.5 there and 30.500000000000004 in binary.
        exact = Decimal(_shortest(number) if self.type == "f32" else repr(number))
        scaled = float((exact * Decimal(repr(self.scale)) + Decimal(repr(self.offset))) * ratio)
        return scaled if math.isfinite(scaled) else None


def _shortest(number: float) -> str:
    """Return the shortest decimal that means the same 32-bit float: 230.2, not 230.1999969482422."""
    wanted = struct.pack(">f", number)
    texts = (f"{number:.{digits}g}" for digits in range(6, 9))
    return next((text for text in texts if struct.pack(">f", float(text)) == wanted), f"{number:.9g}")


class Block(Settings):
    """A run of registers that is read as it stands, in one request."""

    table: Table
    at: int = Field(ge=0, le=_LAST)
    count: int = Field(ge=1, le=2000)


class Vector(Settings):
    """A memory image and what it means: test, simulator and documentation in one.

    The image has bytes in hex from an address on; in the tables of bits a byte holds eight, the
    lowest first. What is not in it reads as zero. ``source`` says where it was recorded or printed; what
    was computed by hand from the documented types and scales is ``synthetic``. ``unknown`` names the
    channels that are expected as None, ``requests`` is how many the plan needs.
    """

    name: str
    source: str = ""
    synthetic: bool = False
    coil: dict[str, str] = Field(default_factory=dict)
    discrete: dict[str, str] = Field(default_factory=dict)
    input: dict[str, str] = Field(default_factory=dict)
    holding: dict[str, str] = Field(default_factory=dict)
    expect: dict[str, int | float | bool | str]
    unknown: tuple[str, ...] = ()
    requests: int | None = None

    @field_validator("coil", "discrete", "input", "holding")
    @classmethod
    def _readable(cls, image: dict[str, str]) -> dict[str, str]:
        for at, text in image.items():
            try:
                int(at, 0), bytes.fromhex(text)
            except ValueError:
                example = '0x0010 = "01 31"'
                raise ValueError(
                    f"{at} = {text!r} is no address with bytes in hex; write {example}"
                ) from None
        return image

    @model_validator(mode="after")
    def _from_somewhere(self) -> Self:
        if bool(self.source) is self.synthetic:
            raise ValueError("has no source; name it, or write synthetic = true if it is computed by hand")
        return self


class Profile(Settings):
    """A device model.

    ``source`` names document, edition and page. ``quality`` is its step on the scale of drivers, and
    ``unconfirmed`` what in it rests on one source only, or on none that is public. ``serial`` is the
    factory's format, "" where the source does not tell it. ``max_registers`` is the most that the device
    gives in one answer; where ``holes`` is false it refuses registers that are not listed here, and
    where there are ``blocks`` it is asked for exactly those. ``general_address`` says that the device
    also answers at 248, whatever its own address.
    """

    title: str = Field(min_length=1)
    source: str = Field(min_length=1)
    quality: Literal["bronze", "silver", "gold"] = "bronze"
    unconfirmed: str = ""
    serial: FactoryFormat = ""
    max_registers: int = Field(default=MOST_REGISTERS, ge=4, le=MOST_REGISTERS)
    holes: bool = True
    blocks: tuple[Block, ...] = ()
    general_address: bool = False
    channels: tuple[Register, ...] = Field(min_length=1)
    vector: tuple[Vector, ...] = ()

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        names = [register.name for register in self.channels]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"channel {', '.join(twice)} is there twice; give each a name of its own")
        return self

    @model_validator(mode="after")
    def _apart(self) -> Self:
        whole = [entry for entry in self.channels if not (entry.bits or entry.type == "bool")]
        whole.sort(key=lambda entry: (entry.table, entry.at, entry.end))
        for one, other in pairwise(whole):
            if one.table == other.table and other.at < one.end and (one.at, one.end) != (other.at, other.end):
                raise ValueError(
                    f"{one.name} and {other.name} overlap in register {other.at}; correct at or type of one"
                )
        return self

    @model_validator(mode="after")
    def _covered(self) -> Self:
        asked = [Read(0, block.table, block.at, block.count) for block in self.blocks]
        left = [entry.name for entry in self.channels if not any(map(entry.inside, asked))]
        if any(block.count > self.max_registers for block in self.blocks if block.table not in _BIT_TABLES):
            raise ValueError(f"a block has more than {self.max_registers} registers; split it")
        if asked and left:
            raise ValueError(f"no block covers channel {', '.join(left)}; add one, or leave blocks out")
        return self


def load(name: str) -> Profile:
    """Return a profile by its name. Raises ValueError when there is none, or it breaks a rule."""
    return read_profile("modbus", name, Profile)
