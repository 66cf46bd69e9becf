"""The driver contract: all that a driver may import from the agent.

A driver translates frames and answers into samples. It holds no loop, sleep, retry, clock, log,
thread or device id: the core does these once, for every driver. Two questions decide its shape:
does the device speak unasked, and over what? A **Talker** speaks unasked on a serial line, a
**Beacon** broadcasts over BLE, an **Answerer** speaks when asked.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.driver_kit import obis
from edge_agent.driver_kit.bindkey import BindKey, Unseal, unsealing
from edge_agent.driver_kit.ble_address import BleAddress, service
from edge_agent.driver_kit.text_pattern import form
from edge_agent.driver_kit.transformer_ratio import CtRatio, PtRatio, Ratio, ratios
from edge_agent.fault import Fault, Garbled, Implausible, NoAnswer, NotMine, Refused
from edge_agent.profile import (
    ChannelName,
    FactoryFormat,
    ProfileError,
    find_profiles,
    profile_text,
    read_profile,
)
from edge_agent.quantity import Quantity, quantity_of

__all__ = [
    "API",
    "SIGNAL",
    "Advertisement",
    "Answerer",
    "Beacon",
    "BeaconSettings",
    "BindKey",
    "Broadcast",
    "Channel",
    "ChannelName",
    "CtRatio",
    "Cut",
    "Driver",
    "FactoryFormat",
    "Fault",
    "Frame",
    "Garbled",
    "Gatt",
    "Implausible",
    "Line",
    "Need",
    "NoAnswer",
    "NotMine",
    "Over",
    "Probe",
    "ProfileError",
    "PtRatio",
    "Quantity",
    "Ratio",
    "Read",
    "Refused",
    "Registers",
    "Sample",
    "Settings",
    "Skip",
    "Table",
    "Talker",
    "Unseal",
    "find_profiles",
    "form",
    "obis",
    "profile_text",
    "quantity_of",
    "ratios",
    "read_profile",
    "service",
    "unsealing",
]

API = 1
"""Version of this contract. A driver record carries the version it was written for."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One named thing that a device reports, under a name that stays the same for ever.

    ``optional`` marks a channel that some models or modes leave out. ``momentary`` one that may say when it
    is true, and not when that is over: a motion, a tag that is here. A configured hold then ends it.
    ``label`` is shown to people, and ``label_zh`` to those who read Chinese; MQTT has the first.
    """

    name: str
    quantity: Quantity
    label: str = ""
    optional: bool = False
    momentary: bool = False
    label_zh: str = ""


SIGNAL = Channel("signal", Quantity.SIGNAL, "Signal strength at this gateway")
"""What the core adds to each broadcast: how strong it was heard. No Beacon has a channel of that name."""


class Sample(NamedTuple):
    """One value for one channel, not yet in time. ``None``: the device says that it does not know."""

    channel: str
    value: float | int | bool | str | None


class Frame(NamedTuple):
    """The first ``size`` bytes are one whole frame."""

    size: int


class Need(NamedTuple):
    """No decision yet: a frame may begin here, and at least ``size`` bytes in all are needed to tell."""

    size: int


class Skip(NamedTuple):
    """The first ``size`` bytes belong to no frame."""

    size: int


Cut = Callable[[bytes], Frame | Need | Skip]
"""Framing as a pure function of the bytes so far. It is never called with no bytes."""


class Settings(BaseModel):
    """Base of every driver's settings. It is also the config schema and the reference page."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BeaconSettings(Settings):
    """Base of the settings of a device that is known by its address."""

    address: BleAddress = Field(
        description="Its BLE address as a scan shows it, such as `A4:C1:38:00:11:22`.",
    )


Table = Literal["coil", "discrete", "input", "holding"]
"""The four Modbus tables. Words (16 bits) in input and holding; single bits in coil and discrete."""


@dataclass(frozen=True, slots=True)
class Read:
    """A question to a Modbus device: ``count`` registers (or bits) of a table from ``start`` on."""

    unit: int
    table: Table
    start: int
    count: int


class Advertisement(NamedTuple):
    """What one BLE broadcast carries. Service data by 128-bit UUID, manufacturer data by company id."""

    address: str
    name: str
    rssi: int
    service_data: Mapping[str, bytes]
    manufacturer_data: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Broadcast:
    """What the radio must hear for a kind of Beacon, so that it need not pass on anything else.

    Service data under one of these 128-bit UUIDs, or manufacturer data of one of these companies. ``active``:
    what is wanted comes only in answer to a question, which costs the battery of the device. ``repeats``:
    what is said again counts again, as with a tag that is here while it is heard; the scan is then active.
    """

    services: tuple[str, ...] = ()
    companies: tuple[int, ...] = ()
    active: bool = False
    repeats: bool = False


class Line(Protocol):
    """A bus on which one may ask and be answered."""

    async def exchange(  # noqa: PLR0913 - how one exchange goes; all but two have a usual value
        self,
        request: bytes,
        cut: Cut,
        *,
        within: float,
        speed: int | None = None,
        answer_speed: int | None = None,
        longest: int = 1024,
    ) -> bytes:
        """Send a request and return the first frame that ``cut`` finds in the answer.

        ``within`` is in seconds, from the end of the request to the first byte of the answer. ``speed`` is
        the device's where it differs from the bus's; ``answer_speed`` that of the answer where the device
        changes it between the two. ``longest`` bounds the bytes heard until the answer is whole.
        Raises NoAnswer, Garbled, or Refused where the port cannot run at that speed.
        """


class Registers(Protocol):
    """The registers of the Modbus devices on a line."""

    async def read(self, question: Read) -> bytes:
        """Return the answer's data: 2 bytes a register, high byte first, or packed bits.

        The core has checked address, function, length and checksum. Raises NoAnswer, Garbled, Refused.
        """


class Gatt(Protocol):
    """The characteristics of a connected BLE device."""

    async def read(self, characteristic: str) -> bytes:
        """Return a characteristic's value by its 128-bit UUID.

        Raises NoAnswer, Garbled, or Refused where the device has no such one, or does not let it be read.
        """


class Talker(Protocol):
    """A device on a serial line that speaks unasked."""

    @property
    def channels(self) -> Sequence[Channel]:
        """All that this device can report."""

    def decode(self, frame: bytes) -> Sequence[Sample]:
        """Turn one frame into samples. Raises a Fault."""


class Beacon(Protocol):
    """A device that broadcasts over BLE."""

    @property
    def channels(self) -> Sequence[Channel]:
        """All that this device can report."""

    def decode(self, frame: Advertisement) -> Sequence[Sample]:
        """Turn one advertisement into samples. Raises a Fault."""


L_contra = TypeVar("L_contra", Line, Registers, Gatt, contravariant=True)
Q_contra = TypeVar("Q_contra", contravariant=True)


class Answerer(Protocol[L_contra, Q_contra]):
    """A device that speaks when asked."""

    @property
    def channels(self) -> Sequence[Channel]:
        """All that this device can report."""

    async def poll(self, line: L_contra) -> Sequence[Sample]:
        """Ask for everything once, and return all samples together. Raises a Fault."""

    def decode(self, frame: bytes, request: Q_contra) -> Sequence[Sample]:
        """Turn one answer into samples, given what was asked. Raises a Fault.

        Over registers the request is a ``Read`` and the frame its data; over a line both are frames; over a
        connection the request is the UUID of a characteristic, and the frame its value.
        """


class Over(StrEnum):
    """What a device speaks over, and so which shape its driver has."""

    STREAM = "stream"  # a Talker
    ADVERTISEMENTS = "advertisements"  # a Beacon
    LINE = "line"  # an Answerer of Line, bytes
    REGISTERS = "registers"  # an Answerer of Registers, Read
    GATT = "gatt"  # an Answerer of Gatt


Device = Talker | Beacon | Answerer[Line, bytes] | Answerer[Registers, Read] | Answerer[Gatt, str]
S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class Probe(Generic[S]):
    """How ``edge-agent scan`` finds devices of a kind. It only asks, and never changes anything in a device.

    A scan goes through serial formats, one after the other: those in ``formats``, such as ``"9600 8N1"``,
    what is met most often first, and the factory format of each candidate. In each of them

    - over a stream it listens, and lets ``cut`` and ``decode`` try what was heard,
    - over registers it asks each unit address for one register; where there is any answer, it polls,
    - over a line it calls ``search``, which asks who is there and returns the settings of each device found;
      silence is no fault of it. A search takes at most ``within`` seconds and is cancelled then.

    What is polled or decoded is what ``open`` makes of each candidate: ``candidates`` returns the settings to
    try, such as one per profile, for the unit address given (0 over a stream). Those whose values are within
    the quantities' plausible bounds are shown to the person, who decides.

    Where a driver over a line has a ``cut`` for requests and answers alike, ``edge-agent listen`` shows the
    talk of another master with its devices: ``overheard`` returns the settings under which a device may be
    the one that gave an answer, from two frames that followed each other; none, if they are no such pair.
    """

    formats: tuple[str, ...] = ()
    candidates: Callable[[int], Iterable[S]] | None = None
    search: Callable[[Line], Awaitable[Iterable[S]]] | None = None
    within: float = 2.0
    overheard: Callable[[bytes, bytes], Iterable[S]] | None = None


@dataclass(frozen=True, slots=True)
class Driver(Generic[S]):
    """What an entry point names: enough to list, configure, open and test a kind of device.

    ``home`` is the package that holds README.md, sample.toml and vectors.toml. ``serial`` gives the
    device's factory serial format (``"9600 8N1"``) for given settings, "" where there is none; ``model``
    what the device is called, where that depends on its settings. ``cut`` is how a Talker's bytes become
    frames, ``broadcast`` what to listen for for a Beacon. ``open``, ``serial`` and ``model`` raise ValueError
    when the settings name something that does not exist. ``probe`` is how a scan finds such a device; a
    Talker that can be opened with default settings, and a Beacon, are found without one. ``setup`` may tell a
    Talker how to report, where its settings ask for it: it is called whenever the port has opened, before
    anything is heard. It raises a Fault when the device does not follow; the agent says so, and listens all
    the same. It erases nothing and switches nothing.
    """

    title: str
    home: str
    over: Over
    settings: type[S]
    open: Callable[[S], Device]
    serial: Callable[[S], str] = lambda _: ""
    model: Callable[[S], str] = lambda _: ""
    cut: Cut | None = None
    broadcast: Broadcast | None = None
    probe: Probe[S] | None = None
    setup: Callable[[S, Line], Awaitable[None]] | None = None
    api: int = API
