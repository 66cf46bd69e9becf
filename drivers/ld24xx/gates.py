"""Reports of the radars that see distance gates: LD2410 and LD2412.

    type AA state moving still ... 55 00

- type 02, basic: state, moving distance (2) and energy, still distance (2) and energy, and on an LD2410
  detection distance (2); centimetres and per cent
- type 01, engineering: the same, then highest moving gate, highest still gate, moving energies,
  still energies, and bytes that are not read
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from drivers.ld24xx.envelope import report
from edge_agent.driver import Channel, Garbled, Implausible, Quantity, Sample, Settings

ENGINEERING, _BASIC = 0x01, 0x02
_MARK, _TAIL = 0xAA, b"\x55\x00"
_TARGET = struct.Struct("<BHBHB")
_BOTH = 3

_CHANNELS = (
    Channel("target_state", Quantity.TARGET_STATE, "Target: 0 none, 1 moving, 2 still, 3 both"),
    Channel("occupancy", Quantity.OCCUPANCY, "Occupied"),
    Channel("moving_distance", Quantity.DISTANCE, "Distance of the moving target"),
    Channel("moving_energy", Quantity.LEVEL, "Echo of the moving target"),
    Channel("still_distance", Quantity.DISTANCE, "Distance of the still target"),
    Channel("still_energy", Quantity.LEVEL, "Echo of the still target"),
)
_DETECTION = Channel("detection_distance", Quantity.DISTANCE, "Distance of detection")


class GateSettings(Settings):
    """What to report, and what the radar is told at start."""

    engineering: bool = Field(
        default=False,
        description="Also report the echo of each distance gate, while the module is in engineering mode.",
    )
    set_up: bool = Field(
        default=False,
        description="Whenever the port opens, set the module's speed to `baud` and its engineering mode as "
        "`engineering` says.",
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """What differs between models: lengths of the basic and engineering reports, how many gates."""

    basic: int
    engineering: tuple[int, ...]
    gates: int
    detection: bool


class Radar:
    """Presence, and how far away."""

    def __init__(self, layout: Layout, settings: GateSettings) -> None:
        self._layout, self._engineering = layout, settings.engineering
        self.channels: Sequence[Channel] = (
            *_CHANNELS,
            *((_DETECTION,) if layout.detection else ()),
            *(_gate_channels(layout.gates) if settings.engineering else ()),
        )

    def decode(self, frame: bytes) -> Sequence[Sample]:
        """Turn one report into samples, distances in metres; a command or acknowledgement is NotMine."""
        body = report(frame)
        self._check(body)
        state, moving_cm, moving, still_cm, still = _TARGET.unpack_from(body, 2)
        if state > _BOTH:
            raise Implausible(f"target state {state}, known are 0 to {_BOTH}")
        samples = [
            Sample("target_state", state),
            Sample("occupancy", state != 0),  # the distances stay as they were when a target is gone
            Sample("moving_distance", moving_cm / 100),
            Sample("moving_energy", moving),
            Sample("still_distance", still_cm / 100),
            Sample("still_energy", still),
        ]
        rest = body[2 + _TARGET.size : -2]
        if self._layout.detection:
            samples.append(Sample("detection_distance", int.from_bytes(rest[:2], "little") / 100))
            rest = rest[2:]
        if self._engineering and body[0] == ENGINEERING:
            samples += _gates(rest, self._layout.gates)
        return samples

    def _check(self, body: bytes) -> None:
        kind = body[0] if body else -1
        lengths = {_BASIC: (self._layout.basic,), ENGINEERING: self._layout.engineering}.get(kind)
        if lengths is None:
            raise Garbled(f"report of type {kind}, known are 1 and 2")
        if len(body) not in lengths:
            expected = " or ".join(map(str, lengths))
            raise Garbled(f"report of type {kind} with {len(body)} bytes, expected {expected}")
        if body[1] != _MARK or body[-2:] != _TAIL:
            raise Garbled(f"report marked {body[1]:02x} and {body[-2:].hex(' ')}, expected aa and 55 00")


def _gate_channels(gates: int) -> list[Channel]:
    return [
        Channel(f"gate{gate}_{kind}_energy", Quantity.LEVEL, f"Echo in gate {gate}, {kind}", optional=True)
        for kind in ("moving", "still")
        for gate in range(gates)
    ]


def _gates(report: bytes, gates: int) -> list[Sample]:
    """Return the echoes up to the highest gates in use; the bytes of the gates above mean nothing."""
    last_moving, last_still = report[0], report[1]
    if max(last_moving, last_still) >= gates:
        raise Garbled(f"gates up to {last_moving} and {last_still}, known are 0 to {gates - 1}")
    moving, still = report[2 : 2 + gates], report[2 + gates : 2 + 2 * gates]
    return [
        *(Sample(f"gate{gate}_moving_energy", moving[gate]) for gate in range(last_moving + 1)),
        *(Sample(f"gate{gate}_still_energy", still[gate]) for gate in range(last_still + 1)),
    ]
