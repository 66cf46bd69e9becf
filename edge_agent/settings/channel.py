"""The tables of agent.toml about one channel of a device: what is done with its values."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from edge_agent.settings.fields import Above, Bound, Duration, Id, Number, Text
from edge_agent.settings.table import Table
from edge_agent.settings.units import within


class Calibrate(Table):
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


class Report(Table):
    """When a reading is worth passing on: any one of these is enough."""

    change: Above | None = None
    percent: Above | None = None
    silence: Duration | None = None


class Counter(Table):
    """How a value that only grows goes on where the meter's own number does not.

    ``rollover`` is where the meter begins at 0 again. ``continue_`` (in the file: continue): the total of a
    new meter goes on from where the old one stopped.
    """

    rollover: Above | None = None
    continue_: Annotated[StrictBool, Field(alias="continue")] = False


class Alarm(Table):
    """A limit: ``above`` or ``below`` a number, or ``equals`` a state. ``delay`` is in seconds.

    It is raised once the value has been beyond it for ``delay``, and cleared at once when the value is back,
    by ``hysteresis`` at least.
    """

    above: Number | None = None
    below: Number | None = None
    equals: StrictBool | StrictInt | StrictStr | None = None
    hysteresis: Annotated[Number, AfterValidator(within(0, 1e300, "0, or a number above 0"))] = 0.0
    delay: Annotated[Duration, AfterValidator(within(0, 86_400, '"0s" to "1d"'))] = 0.0

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if sum(limit is not None for limit in (self.above, self.below, self.equals)) != 1:
            raise ValueError("needs one limit; write one of above, below and equals")
        if self.equals is not None and self.hysteresis:
            raise ValueError("has hysteresis, which is for above and below; remove it")
        return self


class Channel(Table):
    """What the installer says about one channel of a device."""

    name: Text = ""
    calibrate: Calibrate | None = None
    plausible: tuple[Bound, Bound] | None = None
    report: Report | None = None
    hold: Annotated[Duration, AfterValidator(within(0.1, 86_400, '"100ms" to "1d"'))] | None = None
    counter: Counter | None = None
    alarm: Annotated[Mapping[Id, Alarm], Field(max_length=16)] = Field(default_factory=dict)

    @field_validator("plausible")
    @classmethod
    def _grows(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError("is not a range; write [lowest, highest], -inf and inf for no bound")
        return bounds
