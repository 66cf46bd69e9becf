"""HLK-LD2410, LD2410B and LD2410C presence radars: reports on a serial line, about ten a second.

HLK-LD2410C serial protocol V1.00 (2022-11-7), section 2.3. All numbers are little-endian:

    F4 F3 F2 F1 | length, 2 | type AA report 55 00 | F8 F7 F6 F5

- type 02, length 0x0D, basic report: state, moving distance (2) and energy, still distance (2) and
  energy, detection distance (2); centimetres and per cent
- type 01, length 0x23, engineering report: the same, then highest moving gate, highest still gate,
  nine moving energies, nine still energies, light, output pin

Commands and their acknowledgements share the line: FD FC FB FA | length, 2 | words | 04 03 02 01.
There is no checksum, so every fixed byte is verified.
"""

import struct
from collections.abc import Sequence

from pydantic import Field

from edge_agent.driver import (
    Channel,
    Driver,
    Frame,
    Garbled,
    Implausible,
    Need,
    NotMine,
    Over,
    Quantity,
    Sample,
    Settings,
    Skip,
)

_REPORT, _CONFIGURATION = bytes.fromhex("F4F3F2F1"), bytes.fromhex("FDFCFBFA")
_FOOTERS = {_REPORT: bytes.fromhex("F8F7F6F5"), _CONFIGURATION: bytes.fromhex("04030201")}
_HEAD, _FOOT = 6, 4  # header and length; footer
_LONGEST = 64  # bytes between them; the longest known, an engineering report, has 35
_MARK, _TAIL = 0xAA, b"\x55\x00"
_LENGTHS = {0x02: 0x0D, 0x01: 0x23}  # by type of report
_TARGET = struct.Struct("<BHBHBH")
_GATES = 9
_BOTH = 3

_CHANNELS = (
    Channel("target_state", Quantity.TARGET_STATE, "Target: 0 none, 1 moving, 2 still, 3 both"),
    Channel("occupancy", Quantity.OCCUPANCY, "Occupied"),
    Channel("moving_distance", Quantity.DISTANCE, "Distance of the moving target"),
    Channel("moving_energy", Quantity.LEVEL, "Echo of the moving target"),
    Channel("still_distance", Quantity.DISTANCE, "Distance of the still target"),
    Channel("still_energy", Quantity.LEVEL, "Echo of the still target"),
    Channel("detection_distance", Quantity.DISTANCE, "Distance of detection"),
)
_GATE_CHANNELS = tuple(
    Channel(f"gate{gate}_{kind}_energy", Quantity.LEVEL, f"Echo in gate {gate}, {kind}", optional=True)
    for kind in ("moving", "still")
    for gate in range(_GATES)
)


class RadarSettings(Settings):
    """What to report."""

    engineering: bool = Field(
        default=False,
        description="Also report the echo of each distance gate, while the module is in engineering mode.",
    )


class Radar:
    """Presence, and how far away."""

    def __init__(self, settings: RadarSettings) -> None:
        self._engineering = settings.engineering
        self.channels: Sequence[Channel] = _CHANNELS + (_GATE_CHANNELS if settings.engineering else ())

    def decode(self, frame: bytes) -> Sequence[Sample]:
        """Turn one report into samples, distances in metres; a command or acknowledgement is NotMine."""
        header, body = _open_frame(frame)
        if header == _CONFIGURATION:
            raise NotMine("a command or its acknowledgement, not a report")
        _check_report(body)
        state, *target = _TARGET.unpack_from(body, 2)
        if state > _BOTH:
            raise Implausible(f"target state {state}, known are 0 to {_BOTH}")
        moving_cm, moving, still_cm, still, detection_cm = target
        samples = [
            Sample("target_state", state),
            Sample("occupancy", state != 0),  # the distances stay as they were when a target is gone
            Sample("moving_distance", moving_cm / 100),
            Sample("moving_energy", moving),
            Sample("still_distance", still_cm / 100),
            Sample("still_energy", still),
            Sample("detection_distance", detection_cm / 100),
        ]
        if self._engineering and body[0] == 0x01:
            samples += _gates(body[2 + _TARGET.size : -2])
        return samples


def _open_frame(frame: bytes) -> tuple[bytes, bytes]:
    """Return the header and what stands between length and footer, with all three verified."""
    header = frame[:4]
    footer = _FOOTERS.get(header)
    if footer is None:
        raise Garbled(f"begins with {header.hex(' ') or 'nothing'}, not with a header")
    if len(frame) < _HEAD + _FOOT:
        raise Garbled(f"{len(frame)} bytes, too short for a frame")
    told = int.from_bytes(frame[4:_HEAD], "little")
    if told != len(frame) - _HEAD - _FOOT:
        raise Garbled(f"{len(frame) - _HEAD - _FOOT} bytes inside, its length says {told}")
    if frame[-_FOOT:] != footer:
        raise Garbled(f"ends with {frame[-_FOOT:].hex(' ')}, expected {footer.hex(' ')}")
    return header, frame[_HEAD:-_FOOT]


def _check_report(body: bytes) -> None:
    kind = body[0] if body else -1
    if kind not in _LENGTHS:
        raise Garbled(f"report of type {kind}, known are 1 and 2")
    if len(body) != _LENGTHS[kind]:
        raise Garbled(f"report of type {kind} with {len(body)} bytes, expected {_LENGTHS[kind]}")
    if body[1] != _MARK or body[-2:] != _TAIL:
        raise Garbled(f"report marked {body[1]:02x} and {body[-2:].hex(' ')}, expected aa and 55 00")


def _gates(report: bytes) -> list[Sample]:
    """Return the echoes up to the highest gates in use; the bytes of the gates above mean nothing."""
    last_moving, last_still = report[0], report[1]
    if max(last_moving, last_still) >= _GATES:
        raise Garbled(f"gates up to {last_moving} and {last_still}, known are 0 to {_GATES - 1}")
    moving, still = report[2 : 2 + _GATES], report[2 + _GATES : 2 + 2 * _GATES]
    return [
        *(Sample(f"gate{gate}_moving_energy", moving[gate]) for gate in range(last_moving + 1)),
        *(Sample(f"gate{gate}_still_energy", still[gate]) for gate in range(last_still + 1)),
    ]


def cut(heard: bytes) -> Frame | Need | Skip:
    """Find a report, a command or an acknowledgement in the bytes so far.

    The footer belongs to the framing: with no checksum it is all that tells a frame from a header
    that stands in noise, and a frame with a wrong length from the good ones behind it.
    """
    start = next((at for at in range(len(heard)) if _may_begin(heard[at : at + 4])), len(heard))
    if start:
        return Skip(start)
    if len(heard) < _HEAD:
        return Need(_HEAD)
    length = int.from_bytes(heard[4:_HEAD], "little")
    size = _HEAD + length + _FOOT
    if length > _LONGEST:
        return Skip(1)
    if len(heard) < size:
        return Need(size)
    return Frame(size) if heard[size - _FOOT : size] == _FOOTERS[heard[:4]] else Skip(1)


def _may_begin(word: bytes) -> bool:
    return any(header.startswith(word) for header in _FOOTERS)


driver = Driver(
    title="HLK-LD2410 presence radar",
    home=__name__,
    over=Over.STREAM,
    settings=RadarSettings,
    open=Radar,
    serial=lambda _: "256000 8N1",
    cut=cut,
)
