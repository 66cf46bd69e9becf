"""HLK-LD2412 presence radar: reports on a serial line, about ten a second.

The envelope is the LD2410's; a basic report has 11 bytes, without a detection distance (a recorded frame), an
engineering report of 14 gates 41 or more: some firmwares add light, as ESPHome's component ld2412 reads it.
"""

from pydantic import Field

from drivers.ld24xx import orders
from drivers.ld24xx.envelope import cut
from drivers.ld24xx.gates import GateSettings, Layout, Radar
from edge_agent.driver import Driver, Line, Over

_FACTORY: orders.Baud = 115200
_LAYOUT = Layout(basic=11, engineering=(41, 42, 43), gates=14, detection=False)


class RadarSettings(GateSettings):
    """What to report, and what the radar is told at start."""

    baud: orders.Baud = Field(default=_FACTORY, description="How fast the module speaks.")


async def _set_up(settings: RadarSettings, line: Line) -> None:
    if settings.set_up:
        await orders.set_up(line, baud=settings.baud, factory=_FACTORY, engineering=settings.engineering)


driver = Driver(
    title="HLK-LD2412 presence radar",
    home=__name__,
    over=Over.STREAM,
    settings=RadarSettings,
    open=lambda settings: Radar(_LAYOUT, settings),
    serial=lambda settings: f"{settings.baud} 8N1",
    cut=cut,
    setup=_set_up,
)
