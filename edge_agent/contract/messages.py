"""The payload of every topic, as pydantic models. Times are ms since 1970 UTC, units are UCUM codes.

All messages are JSON objects. Within a major version only optional fields are added; a consumer ignores
what it does not know.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
MOST = 2**53 - 1
"""Of counts, numbers and times: what every JSON parser holds exactly (RFC 8259, 6)."""

Ms = Annotated[int, Field(ge=0, le=MOST, description="ms since 1970 UTC")]
Seq = Annotated[int, Field(ge=1, le=MOST)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Bound = Annotated[int, Field(ge=-MOST, le=MOST)]
CommandId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
CommandName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Whole = Annotated[int, Field(ge=-(2**63), le=2**64 - 1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Value = bool | Whole | Number | str
QualityPair = tuple[Literal["suspect", "bad"], str]

RESERVED_CHANNELS = frozenset({"schema", "gateway", "device", "ts", "availability", "since", "reason"})
"""Names in a state message that no channel may have."""


class Message(BaseModel):
    """What all messages share."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        serialize_by_alias=True,
        protected_namespaces=(),
        defer_build=True,  # an agent uses few of them: a validator for each would stay in its memory
    )

    def payload(self) -> bytes:
        """Return the JSON that goes on the wire."""
        return self.model_dump_json().encode()

    @model_serializer(mode="wrap")
    def _leave_out(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what may be absent and is None; null stands only where a key must be there."""
        optional = {
            field.alias or name for name, field in type(self).model_fields.items() if not field.is_required()
        }
        return {key: value for key, value in dump(self).items() if value is not None or key not in optional}


class StatusMessage(Message):
    """Birth, will and planned stop of a gateway. Retained."""

    schema_: Literal["park.status/1"] = Field("park.status/1", alias="schema")
    site: Id
    gateway: Id
    state: Literal["online", "stopped", "offline"]
    session: Count = Field(description="counts CONNECTs; an offline below the highest online seen is ignored")
    ts: Ms
    epoch: str
    version: str
    backlog: Count
    reason: str | None = None


class ChannelMeta(Message):
    """What one channel measures."""

    quantity: str
    unit: str = Field(description="UCUM code")
    kind: Literal["gauge", "counter", "state", "pulse"]
    name: str | None = None
    interval_s: Number | None = None
    average_s: Annotated[
        Number | None, Field(description="the mean, lowest or highest of so many seconds, which end at ts")
    ] = None
    plausible: tuple[Number | None, Number | None] | None = None


class MetaMessage(Message):
    """What a device is. Retained; ``hash`` is what data messages name in ``meta``."""

    schema_: Literal["park.meta/1"] = Field("park.meta/1", alias="schema")
    site: Id
    gateway: Id
    device: Id
    hash: str
    name: str | None = None
    model: str | None = None
    place: str | None = None
    labels: dict[str, str] | None = None
    channels: dict[str, ChannelMeta]


class ReadingItem(Message):
    """One reading. A channel the device does not know is absent from values and bad in quality."""

    seq: Seq
    ts: Ms = Field(description="time of measurement")
    values: dict[str, Value]
    quality: dict[str, QualityPair] | None = None
    clock: Literal["repaired", "unsynchronised"] | None = None
    ts_bounds: tuple[Bound | None, Bound | None] | None = None


class DataMessage(Message):
    """Readings of one device, in one epoch, under one description. On data/ and, later ones, on history/."""

    schema_: Literal["park.data/1"] = Field("park.data/1", alias="schema")
    site: Id
    gateway: Id
    device: Id
    epoch: str
    lane: Literal["live", "history"]
    settled: Count = Field(description="all up to it were acknowledged or declared lost")
    meta: str
    readings: list[ReadingItem]


class StateMessage(Message):
    """A device's last live values and its availability, flat. Retained."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True, serialize_by_alias=True)

    schema_: Literal["park.state/1"] = Field("park.state/1", alias="schema")
    gateway: Id
    device: Id
    ts: Ms | None = None
    availability: Literal["online", "late", "offline"]
    since: Ms
    reason: Annotated[str | None, Field(description="why it is not online")] = None


class LossMessage(Message):
    """Readings that are given up for good. ``to_seq`` null: to the end of that epoch."""

    schema_: Literal["park.loss/1"] = Field("park.loss/1", alias="schema")
    site: Id
    gateway: Id
    device: Id
    epoch: str
    seq: Seq = Field(description="number of this declaration")
    from_seq: Seq
    to_seq: Seq | None
    readings: Count | None
    from_ts: Ms | None = None
    to_ts: Ms | None = None
    reason: Literal["capacity", "overflow", "damage", "rejected", "removed"]


class EventMessage(Message):
    """Something that people want to be told of. Kept, sent and settled like a reading.

    ``seq`` counts the events of the gateway, of all its devices: (gateway, epoch, seq) is an event for ever.
    """

    schema_: Literal["park.event/1"] = Field("park.event/1", alias="schema")
    site: Id
    gateway: Id
    device: Id = Field(description="gateway: the agent itself")
    epoch: str
    seq: Seq = Field(description="number of this event, among all of the gateway")
    settled: Count = Field(description="all events up to it were acknowledged or declared lost")
    above: Count | None = Field(
        None, description="numbers above it and below seq are of events that are not for this broker"
    )
    ts: Ms
    event: Literal["late", "offline", "online", "alarm", "alarm_cleared", "retired", "restarted"]
    detail: str | None = None
    channel: str | None = Field(None, description="of an alarm")
    alarm: str | None = Field(None, description="its name in the configuration")
    value: Number | None = Field(None, description="that raised it, or ended it")
    clock: Literal["repaired", "unsynchronised"] | None = None
    ts_bounds: tuple[Bound | None, Bound | None] | None = None


class DevicesHealth(Message):
    """How many devices are in which availability."""

    online: Count
    late: Count
    offline: Count


class BoardHealth(Message):
    """What the gateway's board says of itself; what it does not tell is left out."""

    temperature: Number | None = Field(None, description="of the processor, Cel")
    load: Number = Field(description="of the last minute")
    cores: Count
    throttled: bool | None = Field(None, description="kept slower by heat")
    under_voltage: bool | None = Field(None, description="its supply was too weak")


class HealthMessage(Message):
    """The agent's own numbers, each half minute. QoS 0, not retained."""

    schema_: Literal["park.health/1"] = Field("park.health/1", alias="schema")
    site: Id
    gateway: Id
    ts: Ms
    backlog: Count
    drain_s: Number | None = Field(None, description="seconds until the backlog is sent, where that is known")
    acknowledged: Count
    kept: Count
    lost: Count
    clock: Literal["synchronised", "unsynchronised"]
    disk_free_mb: Count
    rss_mb: Count
    devices: DevicesHealth
    commands: dict[str, Count] | None = Field(
        None, description="how many since the start, by what became of them"
    )
    problem: str | None = None
    board: BoardHealth | None = None


class CmdMessage(Message):
    """A request to a gateway. It needs a deadline or the expiry of MQTT 5, at most a day ahead.

    Each id is carried out at most once; asked again, it gets the answer that it had.
    """

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, populate_by_name=True)

    schema_: Literal["park.cmd/1"] = Field("park.cmd/1", alias="schema")
    id: CommandId
    name: CommandName = Field(description="the same as in the topic")
    args: dict[str, Any] = Field(default_factory=dict, description="what the command takes, and nothing else")
    deadline: Ms | None = Field(None, description="later than this it is not carried out, ms since 1970 UTC")
    by: str | None = Field(None, max_length=64, description="who asks")


class ReplyMessage(Message):
    """The answer to a command: on its Response Topic with its correlation data, else on ``reply/{name}``.

    ``reason`` says why the status is not ok.
    """

    schema_: Literal["park.reply/1"] = Field("park.reply/1", alias="schema")
    site: Id
    gateway: Id
    id: CommandId
    name: CommandName
    status: Literal["ok", "error", "rejected", "expired", "duplicate"]
    ts: Ms
    reason: str | None = None
    result: dict[str, Any] | None = None
