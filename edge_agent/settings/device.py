"""The tables of agent.toml about buses and the devices on them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from edge_agent.bus.address import Address
from edge_agent.bus.serial import Direction
from edge_agent.settings.channel import Channel, Report
from edge_agent.settings.fields import Duration, Gap, Id, Interval, PortName, SerialText, Text
from edge_agent.settings.table import Table
from edge_agent.settings.units import within

_READINGS_IN_AN_AVERAGE = 3


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


class Device(Table):
    """One physical unit. ``expect`` is how often a frame is expected; without it, every ``interval``.

    ``gap`` is the quiet time it needs before a request and after its answer, where its bus has less.

    ``average`` is how much time one reading stands for, with mean, lowest and highest value of each gauge.

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
    average: Annotated[Duration, AfterValidator(within(1, 86_400, '"1s" to "1d"'))] | None = None
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
