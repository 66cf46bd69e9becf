"""Begin a driver: make its folder with the four files of every driver, and declare it in pyproject.toml.

Usage: make new-driver NAME=foo. What it makes is whole and passes the tests; replace it piece by piece.
"""

import re
import sys
from pathlib import Path
from string import Template

_GROUP = '[project.entry-points."edge_agent.drivers"]\n'

_CODE = Template('''\
"""$Title: <what it measures>, one frame a second.

<Document, edition, page>:

    A5 | TL TH | HL HH | CC

- T: i16 little-endian, temperature, 0.1 Cel
- H: u16 little-endian, humidity, 0.1 %
- C: sum of the four bytes before it, modulo 256
"""

import struct
from collections.abc import Sequence

from edge_agent.driver import (
    Channel,
    Driver,
    Frame,
    Garbled,
    Need,
    Over,
    Quantity,
    Sample,
    Settings,
    Skip,
)

_HEAD = 0xA5
_FRAME = struct.Struct("<xhHB")


class ${Class}Settings(Settings):
    """Nothing can be set beyond the bus."""


class $Class:
    """Temperature and humidity."""

    channels: Sequence[Channel] = (
        Channel("temperature", Quantity.TEMPERATURE, "Temperature"),
        Channel("humidity", Quantity.HUMIDITY, "Relative humidity"),
    )

    def __init__(self, settings: ${Class}Settings) -> None:
        self._settings = settings

    def decode(self, frame: bytes) -> Sequence[Sample]:
        """Turn one frame into samples."""
        if len(frame) != _FRAME.size or frame[0] != _HEAD:
            raise Garbled(f"{len(frame)} bytes that begin with {frame[:1].hex() or 'nothing'}")
        temperature, humidity, checksum = _FRAME.unpack(frame)
        if sum(frame[1:-1]) % 256 != checksum:
            raise Garbled("checksum")
        return [Sample("temperature", temperature / 10), Sample("humidity", humidity / 10)]


def cut(heard: bytes) -> Frame | Need | Skip:
    """Find a frame in the bytes so far. The checksum belongs to it: one byte of head proves little."""
    if heard[0] != _HEAD:
        return Skip(1)
    if len(heard) < _FRAME.size:
        return Need(_FRAME.size)
    return Frame(_FRAME.size) if sum(heard[1 : _FRAME.size - 1]) % 256 == heard[_FRAME.size - 1] else Skip(1)


driver = Driver(
    title="$Title",
    home=__name__,
    over=Over.STREAM,
    settings=${Class}Settings,
    open=$Class,
    serial=lambda _: "9600 8N1",
    cut=cut,  # with it a scan finds the device; one whose settings have no defaults needs a probe
)
''')

_PAGE = Template("""\
# $Title

## What

<What it measures, which models, which document.> Quality: bronze (vectors, sample and page; not yet captured
from hardware of our own).

## Wiring

<Wires, levels, speed; what else may be on the bus.>

## Settings

## Channels

## Quirks

- <What surprised you, with a link.>

## Example reading
""")

_SAMPLE = Template("""\
# It speaks unasked and has a bus of its own; the driver knows its speed, 9600 8N1.
[bus.$id]
port = "/dev/ttyUSB0"

[device.$id-1]
driver = "$name"
bus = "$id"

[device.$id-1.settings]
""")

_VECTORS = """\
# Recorded frames. A vector has `expect` (values by channel) or `fault` (what decoding it raises).

[[vector]]
name   = "made up: a room"
source = "<where this frame was recorded, or the document and page it stands in>"
frame  = "A5 D7 00 E6 01 BE"
expect = { temperature = 21.5, humidity = 48.6 }

[[vector]]
name   = "made up: frost"
source = "<as above>"
frame  = "A5 33 FF A5 03 DA"
expect = { temperature = -20.5, humidity = 93.3 }

[[vector]]
name   = "made up: a bit has changed"
source = "<as above>"
frame  = "A5 D7 00 E7 01 BE"
fault  = "Garbled"
"""


def main() -> None:
    """Make the folder and the line, or say why not."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        sys.exit(f"a driver's name is like ld2410 or acme_tx20, not {name!r}: make new-driver NAME=acme_tx20")
    root = Path(__file__).parents[1]
    folder, project = root / "drivers" / name, root / "pyproject.toml"
    if folder.exists():
        sys.exit(f"drivers/{name} is there already; choose another name")
    words = name.split("_")
    facts = {
        "name": name,
        "id": name.replace("_", "-"),
        "Title": " ".join(words).upper(),
        "Class": "".join(word.capitalize() for word in words),
    }
    before, group, after = project.read_text("utf-8").partition(_GROUP)
    lines, end, rest = after.partition("\n\n")
    declared = sorted([*lines.splitlines(), f'{name} = "drivers.{name}:driver"'])
    folder.mkdir()
    (folder / "__init__.py").write_text(_CODE.substitute(facts), "utf-8")
    (folder / "README.md").write_text(_PAGE.substitute(facts), "utf-8")
    (folder / "sample.toml").write_text(_SAMPLE.substitute(facts), "utf-8")
    (folder / "vectors.toml").write_text(_VECTORS, "utf-8")
    project.write_text(before + group + "\n".join(declared) + end + rest, "utf-8")
    print(f"made drivers/{name}: four files, and its line in pyproject.toml")


if __name__ == "__main__":
    main()
