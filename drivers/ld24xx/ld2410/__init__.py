"""HLK-LD2410, LD2410B and LD2410C presence radars: reports on a serial line, about ten a second.

HLK-LD2410C serial protocol V1.00 (2022-11-7), 2.3: a basic report has 13 bytes, an engineering report of
nine gates 35, the last of them light and output pin.
"""

from pydantic import Field

from drivers.ld24xx import orders
from drivers.ld24xx.envelope import cut
from drivers.ld24xx.gates import GateSettings, Layout, Radar
from edge_agent.driver import Driver, Line, Over

_FACTORY: orders.Baud = 256000
_LAYOUT = Layout(basic=13, engineering=(35,), gates=9, detection=True)


class RadarSettings(GateSettings):
    """What to report, and what the radar is told at start."""

    baud: orders.Baud = Field(default=_FACTORY, description="How fast the module speaks.")


async def _set_up(settings: RadarSettings, line: Line) -> None:
    if settings.set_up:
        await orders.set_up(line, baud=settings.baud, factory=_FACTORY, engineering=settings.engineering)


driver = Driver(
    title="HLK-LD2410 presence radar",
    home=__name__,
    over=Over.STREAM,
    settings=RadarSettings,
    open=lambda settings: Radar(_LAYOUT, settings),
    serial=lambda settings: f"{settings.baud} 8N1",
    cut=cut,
    setup=_set_up,
)
