"""The tables of agent.toml about buses and the devices on them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from edge_agent.bus.address import Address
from edge_agent.bus.serial import Direction
from edge_agent.settings.channel import Channel, Report
from edge_agent.settings.field_types import Adapter, Duration, Gap, Id, Interval, PortName, SerialText, Text
from edge_agent.settings.table import Table
from edge_agent.settings.units import Within

_READINGS_IN_AN_AVERAGE = 3


class Bus(Table):
    """One shared medium with one owner: a ``port``, or the adapter ``ble``; the other one is "".

    Without ``serial`` the drivers on a port say its format. ``gap`` is the quiet time before each request;
    ``direction`` says who turns an RS-485 line around. ``scan`` is how a BLE adapter listens.
    """

    port: PortName = Field(
        default="",
        title="Port",
        description="Such as /dev/serial/by-id/..., socket://host:port or modbus-tcp://host:502.",
    )
    serial: SerialText | None = Field(
        default=None,
        title="Serial format",
        description="Speed, data bits, parity and stop bits, such as 9600 8N1. "
        "Empty: the factory setting of its devices.",
    )
    gap: Gap = Field(
        default=0.02, title="Quiet time", description="On the wire, between an answer and the next question."
    )
    direction: Direction = Field(
        default="auto",
        title="Who turns the line",
        description="auto: the adapter itself. rts: its RTS pin, where an RS-485 adapter needs that.",
    )
    ble: Adapter = Field(
        default="", title="Bluetooth adapter", description="In place of a port, such as hci0."
    )
    scan: Literal["passive", "active"] = Field(
        default="passive",
        title="How the adapter listens",
        description="active asks the devices too, which costs their batteries.",
    )

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


class Device(Table):
    """One physical unit. ``expect`` is how often a frame is expected; without it, every ``interval``.

    ``gap`` is the quiet time it needs before a request and after its answer, where its bus has less.

    ``average`` is how much time one reading stands for, with mean, lowest and highest value of each gauge.

    ``settings`` are the driver's; loading has checked them. ``class_`` (in the file: class) and ``when_full``
    say what of it is given up when the outbox is full.
    """

    driver: str
    bus: str = Field(title="Bus")
    settings: Mapping[str, Any] = Field(default_factory=dict)
    interval: Interval = Field(default=10.0, title="Read every", description="How often it is asked.")
    expect: Interval | None = Field(
        default=None,
        title="Expected every",
        description="How often a frame is expected, by which it is late or offline. Empty: as often as it "
        "is read.",
    )
    gap: Gap = Field(
        default=0.0, title="Quiet time", description="Around its own exchanges, where its bus has less."
    )
    name: Text = Field(default="", title="Name", description="What people call it.")
    place: Text = Field(default="", title="Place", description="The overview groups devices by it.")
    labels: Annotated[Mapping[Id, Text], Field(max_length=32)] = Field(
        default_factory=dict,
        title="Labels",
        description="By which an uplink may select it.",
    )
    class_: Annotated[Literal["critical", "normal", "bulk"], Field(alias="class")] = Field(
        default="normal",
        title="Importance",
        description="What is given up first when the disk is full: bulk, then normal, then critical.",
    )
    when_full: Literal["oldest", "thin", "refuse"] = Field(
        default="oldest",
        title="When the disk is full",
        description="What of it goes: the oldest readings, every second one (thin), or the newest (refuse).",
    )
    keep: Literal["window", "immediate"] = Field(
        default="window",
        title="When it is written",
        description="immediate: to the disk at once, and not with those of the next second.",
    )
    report: Report | None = Field(
        default=None,
        title="Report on change",
        description="When one of these says so a reading is passed on; without any, each one.",
    )
    average: Annotated[Duration, AfterValidator(Within(1, 86_400, '"1s" to "1d"'))] | None = Field(
        default=None,
        title="Average over",
        description="One reading for each such time, with mean, lowest and highest value.",
    )
    channel: Mapping[str, Channel] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.average is None:
            return self
        if self.report or any(channel.report for channel in self.channel.values()):
            raise ValueError("has both average and report; write one or the other")
        if self.average < _READINGS_IN_AN_AVERAGE * self.interval:
            raise ValueError(
                f"has an average over fewer than {_READINGS_IN_AN_AVERAGE} intervals; "
                "make average longer, or interval shorter"
            )
        return self
