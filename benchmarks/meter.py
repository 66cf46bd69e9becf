"""The device that the benchmarks read: an answerer with five channels, as a small energy meter has."""

from edge_agent.driver import Channel, Driver, Line, Over, Quantity, Sample, Settings

QUANTITIES = (
    Quantity.VOLTAGE,
    Quantity.CURRENT,
    Quantity.POWER,
    Quantity.FREQUENCY,
    Quantity.ENERGY_IMPORT,
)
NAMES = tuple(str(quantity) for quantity in QUANTITIES)


class Meter:
    """A device whose samples the benchmark hands over itself."""

    channels = tuple(Channel(str(quantity), quantity) for quantity in QUANTITIES)

    async def poll(self, line: Line) -> list[Sample]:
        raise NotImplementedError(f"nothing answers on {line}: the benchmark is the source")

    def decode(self, frame: bytes, request: bytes) -> list[Sample]:
        raise NotImplementedError(f"{frame!r} after {request!r}: the benchmark is the source")


def samples(count: int) -> list[list[Sample]]:
    """Make what readings are made of, before anything is measured."""
    made = []
    for number in range(count):
        values = (230.1 + number % 7, 4.25 + number % 3, 977.5 - number % 11, 50.01, 1234.5 + number)
        made.append([Sample(name, value) for name, value in zip(NAMES, values, strict=True)])
    return made


driver = Driver(
    title="The benchmarks' meter",
    home="benchmarks",
    over=Over.LINE,
    settings=Settings,
    open=lambda _settings: Meter(),
)
