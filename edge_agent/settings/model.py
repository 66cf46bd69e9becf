"""The shape of agent.toml. ``config/agent.toml`` shows every key of it with its meaning.

In the file durations and sizes carry units; here durations are seconds and sizes are bytes.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edge_agent.bus.address import Address
from edge_agent.bus.serial import Direction
from edge_agent.settings.fields import (
    Above,
    Bound,
    CommandNames,
    Count,
    Duration,
    Gap,
    Id,
    Interval,
    Number,
    OneServer,
    OutboxFile,
    Packet,
    Password,
    PortName,
    ReadableFile,
    SerialText,
    Size,
    Text,
    Timezone,
    TopicFilter,
    TopicRoot,
    Wildcards,
)
from edge_agent.settings.units import within


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Gateway(_Table):
    """Who this agent is. ``timezone`` is for people only."""

    site: Id
    id: Id
    name: Text = ""
    timezone: Timezone = "UTC"


class Outbox(_Table):
    """How readings are kept. ``memory`` counts readings."""

    path: OutboxFile = Path("/var/lib/edge-agent/outbox.db")
    window: Annotated[Duration, AfterValidator(within(0.05, 60, '"50ms" to "1m"'))] = 1.0
    max_size: Annotated[Size, AfterValidator(within(1e6, 1e13, '"1MB" to "10000GB"'))] = 512_000_000
    replay: Duration = 7 * 86_400.0
    memory: Annotated[Count, AfterValidator(within(1, 1e6, '"1 reading" to "1000000 readings"'))] = 20_000


class Clock(_Table):
    """What the wall clock is trusted for, and how long readings wait for it."""

    trust: Literal["kernel", "rtc", "always"] = "kernel"
    wait: Duration = 120.0


class Send(_Table):
    """What an uplink gets: readings of these devices, with the values of these channels.

    ``devices`` and ``channels`` are patterns, ``labels`` must all match.
    """

    devices: Annotated[Wildcards, Field(min_length=1)] = ("*",)
    without: Wildcards = ()
    labels: Annotated[Mapping[Id, Text], Field(max_length=32)] = Field(default_factory=dict)
    channels: Annotated[Wildcards, Field(min_length=1)] = ("*",)
    without_channels: Wildcards = ()


class Uplink(_Table):
    """One way to a broker. In a loaded configuration ``client_id`` is never empty.

    A backlog begins to flow after a random part of ``spread``, so that gateways do not all come at once.
    ``begin``, in the file ``from``, says what an uplink gets first that was not there before. ``commands``
    are the names of those that it takes; ``reply_to`` where answers may go beside the own ``reply/#``.
    """

    servers: Annotated[tuple[OneServer, ...], Field(min_length=1, max_length=10)]
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    root: TopicRoot = "park/v1"
    username: Annotated[str, Field(min_length=1)] | None = None
    password: Password | None = None
    ca: ReadableFile | None = None
    cert: ReadableFile | None = None
    key: ReadableFile | None = None
    client_id: Annotated[str, Field(max_length=200)] = ""
    ack_timeout: Annotated[Duration, AfterValidator(within(1, 3600, '"1s" to "1h"'))] = 20.0
    keepalive: Annotated[Duration, AfterValidator(within(5, 3600, '"5s" to "1h"'))] = 30.0
    spread: Annotated[Duration, AfterValidator(within(0, 3600, '"0s" to "1h"'))] = 30.0
    max_packet: Packet | None = None
    send: Send = Send()
    begin: Literal["now", "oldest"] = Field("now", alias="from")
    commands: CommandNames = ()
    reply_to: Annotated[tuple[TopicFilter, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.reply_to and not self.commands:
            raise ValueError("has reply_to, which is for commands; add commands = true, or remove it")
        if self.password is not None and self.username is None:
            raise ValueError("has a password without a username; add username =")
        if self.key is not None and self.cert is None:
            raise ValueError("has a key without a certificate; add cert =")
        if (self.ca or self.cert) and not any(server.tls for server in self.servers):
            raise ValueError("has certificates but no server with TLS; write mqtts:// in servers")
        return self


class Bus(_Table):
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


class Calibrate(_Table):
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


class Report(_Table):
    """When a reading is worth passing on: any one of these is enough."""

    change: Above | None = None
    percent: Above | None = None
    silence: Duration | None = None


class Channel(_Table):
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


class Device(_Table):
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


class Log(_Table):
    """What the agent says about itself."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(_Table):
    """All of agent.toml. ``config`` is the version of its shape."""

    config: Literal[1]
    gateway: Gateway
    outbox: Outbox = Outbox()
    clock: Clock = Clock()
    uplink: Annotated[Mapping[Id, Uplink], Field(max_length=8)] = Field(default_factory=dict)
    bus: Annotated[Mapping[Id, Bus], Field(max_length=100)] = Field(default_factory=dict)
    device: Annotated[Mapping[Id, Device], Field(max_length=500)] = Field(default_factory=dict)
    log: Log = Log()

    @field_validator("uplink")
    @classmethod
    def _named(cls, uplinks: Mapping[str, Uplink], seen: ValidationInfo) -> Mapping[str, Uplink]:
        gateway = seen.data.get("gateway")
        if gateway is None:  # it has a problem of its own, and the configuration will not be used
            return uplinks
        owners: dict[tuple[object, str], str] = {}
        for name, uplink in uplinks.items():
            for server in uplink.servers:
                owner = owners.setdefault((server, uplink.root), name)
                if owner != name:
                    raise ValueError(
                        f"sends to {server} twice under {uplink.root!r}, as {owner} and as {name}; "
                        "give one of them another root"
                    )
        if len(asking := [name for name, uplink in uplinks.items() if uplink.commands]) > 1:
            raise ValueError(
                f"takes commands at {' and at '.join(asking)}; "
                "leave them to one uplink, and write commands = false at the others"
            )
        return {
            name: uplink.model_copy(
                update={"client_id": uplink.client_id or f"{gateway.site}-{gateway.id}-{name}"}
            )
            for name, uplink in uplinks.items()
        }
