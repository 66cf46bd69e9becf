"""Any Modbus device that a register map can describe: ``profiles/<vendor>_<model>.toml``.

MODBUS Application Protocol V1.1b3, 6.1 to 6.4: function codes 01 to 04, one for each of the four tables.
"""

from collections.abc import Iterator, Sequence

from pydantic import Field

from drivers.modbus.plan import plan
from drivers.modbus.profile import Profile, Register, load
from edge_agent.driver import (
    Channel,
    CtRatio,
    Driver,
    Garbled,
    Over,
    Probe,
    PtRatio,
    Read,
    Refused,
    Registers,
    Sample,
    Settings,
    find_profiles,
    ratios,
)

_GENERAL = 248


class ModbusSettings(Settings):
    """Which device, and where on the bus."""

    profile: str = Field(description="The device model: the name of a profile, or the whole path of one.")
    address: int = Field(
        ge=1,
        le=_GENERAL,
        description="1 to 247, as set at the device. 248 asks a device that is alone on its bus, where "
        "the profile has a general address.",
    )
    ct_ratio: CtRatio = 1.0
    pt_ratio: PtRatio = 1.0


class ModbusDevice:
    """A device on a bus, described by a profile."""

    def __init__(self, settings: ModbusSettings, profile: Profile) -> None:
        if settings.address == _GENERAL and not profile.general_address:
            raise ValueError(f"{settings.profile} has no general address; give its own, 1 to 247")
        self._ratios = ratios(
            settings.ct_ratio,
            settings.pt_ratio,
            profile=settings.profile,
            used={entry.ratio for entry in profile.channels},
        )
        self._registers = profile.channels
        self._plan = list(plan(profile, settings.address))
        self.channels = [
            Channel(entry.name, entry.quantity, entry.label, label_zh=entry.label_zh)
            for entry in profile.channels
        ]

    async def poll(self, line: Registers) -> Sequence[Sample]:
        """Read every block of the plan, and return all samples together.

        A variant may lack some blocks: what is only in those is not known. Raises Refused when it lacks all.
        """
        values = dict[str, Sample]()
        refusal: Refused | None = None
        for request in self._plan:
            try:
                answer = await line.read(request)
            except Refused as refused:
                if not refused.lasting:
                    raise
                refusal = refusal or refused
            else:
                values |= {sample.channel: sample for sample in self.decode(answer, request)}
        if refusal and not values:
            raise refusal
        lacking = (channel.name for channel in self.channels if channel.name not in values)
        return [*values.values(), *(Sample(name, None) for name in lacking)]

    def decode(self, frame: bytes, request: Read) -> Sequence[Sample]:
        """Return every channel that lies wholly inside what was asked; ``frame`` is the answer's data."""
        size = request.count * 2 if request.table in {"input", "holding"} else -(-request.count // 8)
        if len(frame) != size:
            raise Garbled(
                f"{len(frame)} bytes of data, expected {size} for {request.count} of {request.table}"
            )
        return [self._sample(entry, frame, request) for entry in self._registers if entry.inside(request)]

    def _sample(self, entry: Register, block: bytes, request: Read) -> Sample:
        return Sample(entry.name, entry.value(block, entry.at - request.start, self._ratios[entry.ratio]))


def _candidates(address: int) -> Iterator[ModbusSettings]:
    """Name every profile: which of them fits, the values tell, and then a person."""
    return (ModbusSettings(profile=profile, address=address) for profile in find_profiles("modbus"))


driver = Driver(
    title="Modbus device, by register map",
    home=__name__,
    over=Over.REGISTERS,
    settings=ModbusSettings,
    open=lambda settings: ModbusDevice(settings, load(settings.profile)),
    serial=lambda settings: load(settings.profile).serial,
    model=lambda settings: load(settings.profile).title,
    probe=Probe(
        formats=("9600 8N1", "9600 8E1", "19200 8N1", "19200 8E1", "2400 8N1", "4800 8N1", "115200 8N1"),
        candidates=_candidates,
    ),
)
