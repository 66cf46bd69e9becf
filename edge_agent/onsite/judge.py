"""Which of the candidates fits what a device answered. Judged by the values; never decided for a person."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_agent.driver import Channel, Driver, Quantity, Sample, Settings
from edge_agent.onsite.plan import factory
from edge_agent.reading import Value
from edge_agent.text import formatting

_USUAL = {
    Quantity.VOLTAGE: (80, 500),
    Quantity.FREQUENCY: (45, 65),
    Quantity.TEMPERATURE: (-30, 60),
    Quantity.HUMIDITY: (5, 100),
}
_NO_MEASUREMENT = 1e-9  # registers of something else, read as floats, are numbers such as 4e-41


@dataclass(frozen=True, slots=True)
class Fit:
    """A driver and settings under which a device's values are plausible, with what speaks against it.

    ``values`` are by channel, each with its UCUM unit. The higher ``score``, the more values are usual.
    """

    driver: str
    settings: Mapping[str, Any]
    model: str
    serial: str
    values: Mapping[str, tuple[Value, str]]
    score: int
    doubts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The profile where there is one, else the driver."""
        return str(self.settings.get("profile", self.driver))

    def shown_values(self, most: int = 6) -> str:
        """Write the first values in one line."""
        texts = [f"{channel} {formatting.with_unit(*said)}" for channel, said in self.values.items()]
        rest = [f"and {len(texts) - most} more"] if len(texts) > most else []
        return ", ".join(texts[:most] + rest)


def judge(
    name: str,
    driver: Driver[Any],
    settings: Settings,
    channels: Sequence[Channel],
    samples: Iterable[Sample],
) -> Fit | None:
    """Return how well values fit; None where one of them cannot be, or where there is none."""
    quantities = {channel.name: channel.quantity for channel in channels}
    values: dict[str, tuple[Value, str]] = {}
    score, odd = 0, []
    for channel, value in samples:
        if value is None:
            continue
        quantity = quantities[channel]
        values[channel] = (value, quantity.unit)
        if isinstance(value, str | bool):
            score += 1
            continue
        if not _possible(quantity, value):
            return None
        low, high = _USUAL.get(quantity, (quantity.low, quantity.high))
        if value and not (_at_least(value, low) and _at_least(high, value)):
            odd.append(f"{channel} {formatting.with_unit(value, quantity.unit)} is unusual")
        else:
            score += bool(value)
    if not values:
        return None
    doubts = odd if any(value for value, _ in values.values()) else ["all values are 0"]
    given = settings.model_dump(mode="json", exclude_defaults=True)
    model = driver.model(settings) or driver.title
    return Fit(name, given, model, factory(driver, settings), values, score - len(odd), tuple(doubts))


def ranked(fits: Iterable[Fit]) -> tuple[Fit, ...]:
    """Sort by how well they fit, and mark the doubt that lies in there being several.

    What has more unusual values than usual ones is left out where something fits better.
    """
    best_first = sorted(fits, key=lambda fit: (-fit.score, len(fit.values), fit.name))
    best_first = [fit for fit in best_first if fit.score >= 0] or best_first
    if len(best_first) < 2:  # noqa: PLR2004 - several
        return tuple(best_first)
    doubt = "others fit as well; compare with the type plate, and with what the device shows"
    return tuple(replace(fit, doubts=(*fit.doubts, doubt)) for fit in best_first)


def _possible(quantity: Quantity, value: float) -> bool:
    return (
        _at_least(value, quantity.low)
        and _at_least(quantity.high, value)
        and not 0 < abs(value) < _NO_MEASUREMENT
        and value - value == 0
    )


def _at_least(value: float | None, bound: float | None) -> bool:
    return value is None or bound is None or value >= bound
