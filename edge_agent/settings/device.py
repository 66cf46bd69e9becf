"""The tables of agent.toml about buses, the devices on them, and what is done with their channels."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    field_validator,
    model_validator,
)

from edge_agent.bus.address import Address
from edge_agent.bus.serial import Direction
from edge_agent.settings.fields import (
    Above,
    Bound,
    Duration,
    Gap,
    Id,
    Interval,
    Number,
    PortName,
    SerialText,
    Text,
)
from edge_agent.settings.table import Table
from edge_agent.settings.units import within


class Bus(Table):
    """One shared medium with one owner: a ``port``, or the adapter ``ble``; the other one is "".

    Without ``serial`` the drivers on a port say its format. ``gap`` is the quiet time before each request;
    ``direction`` says who turns an RS-485 line around. ``scan`` is how a BLE adapter listens.
    """

    port: PortName = ""
    serial: SerialText | None = None
    gap: Gap = 0.02
    direction: Direction = "auto"
    ble: Annotated[str, Field(pattern=r"^(hci[0-9]{1,2})?$")] = ""
    scan: Literal["passive", "active"] = "passive"

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.ble:
            if wrong := sorted(self.model_fields_set - {"ble", "scan"}):
                raise ValueError(f"is a BLE adapter, for which {wrong[0]} has no meaning; remove {wrong[0]}")
            return self
        if not self.port:
            raise ValueError('has neither port nor ble; write port = "/dev/..." or ble = "hci0"')
        if "scan" in self.model_fields_set:
            raise ValueError("has scan, which is for a BLE adapter; remove it")
        if self.direction != "auto" and Address.parse(self.port).kind != "tty":
            raise ValueError(
                f"has direction {self.direction!r}, which is for a serial port of this machine; "
                "remove it, and set it at the serial server"
            )
        return self


class Calibrate(Table):
    """A straight line, or points ``[measured, true]`` with straight lines between and beyond them."""

    scale: Number = 1.0
    offset: Number = 0.0
    points: Annotated[tuple[tuple[Number, Number], ...], Field(min_length=2, max_length=100)] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.points is None:
            if self.scale == 0:
                raise ValueError("makes every value the same; write a scale other than 0")
            return self
        if self.model_fields_set & {"scale", "offset"}:
            raise ValueError("has both points and scale or offset; write one or the other")
        measured = [point[0] for point in self.points]
        if any(later <= earlier for earlier, later in pairwise(measured)):
            raise ValueError("has points out of order; let the first number of each point grow")
        return self


class Report(Table):
    """When a reading is worth passing on: any one of these is enough."""

    change: Above | None = None
    percent: Above | None = None
    silence: Duration | None = None


class Channel(Table):
    """What the installer says about one channel of a device."""

    name: Text = ""
    calibrate: Calibrate | None = None
    plausible: tuple[Bound, Bound] | None = None
    report: Report | None = None
    hold: Annotated[Duration, AfterValidator(within(0.1, 86_400, '"100ms" to "1d"'))] | None = None

    @field_validator("plausible")
    @classmethod
    def _grows(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError("is not a range; write [lowest, highest], -inf and inf for no bound")
        return bounds


class Device(Table):
    """One physical unit. ``expect`` is how often a frame is expected; without it, every ``interval``.

    ``gap`` is the quiet time it needs before a request and after its answer, where its bus has less.

    ``settings`` are the driver's; loading has checked them. ``class_`` (in the file: class) and ``when_full``
    say what of it is given up when the outbox is full.
    """

    driver: str
    bus: str
    settings: Mapping[str, Any] = Field(default_factory=dict)
    interval: Interval = 10.0
    expect: Interval | None = None
    gap: Gap = 0.0
    name: Text = ""
    place: Text = ""
    labels: Annotated[Mapping[Id, Text], Field(max_length=32)] = Field(default_factory=dict)
    class_: Annotated[Literal["critical", "normal", "bulk"], Field(alias="class")] = "normal"
    when_full: Literal["oldest", "thin", "refuse"] = "oldest"
    keep: Literal["window", "immediate"] = "window"
    report: Report | None = None
    channel: Mapping[str, Channel] = Field(default_factory=dict)
