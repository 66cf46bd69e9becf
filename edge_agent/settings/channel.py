"""The tables of agent.toml about one channel of a device: what is done with its values."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from edge_agent.settings.field_types import Above, Bound, Duration, Id, Number, Text
from edge_agent.settings.table import Table
from edge_agent.settings.units import Within


class Calibrate(Table):
    """A straight line, or points ``[measured, true]`` with straight lines between and beyond them."""

    scale: Number = Field(default=1.0, title="Multiply by")
    offset: Number = Field(default=0.0, title="Then add")
    points: Annotated[tuple[tuple[Number, Number], ...], Field(min_length=2, max_length=100)] | None = Field(
        default=None,
        title="Or points: measured and true",
        description="In place of the two above, with straight lines between and beyond them.",
    )

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

    change: Above | None = Field(default=None, title="Moved by", description="In the unit of the channel.")
    percent: Above | None = Field(
        default=None, title="Moved by percent", description="Of what it was when it was reported last."
    )
    silence: Duration | None = Field(
        default=None, title="Longest silence", description="At the latest after this time, also unchanged."
    )


class Counter(Table):
    """How a value that only grows goes on where the meter's own number does not.

    ``rollover`` is where the meter begins at 0 again. ``continue_`` (in the file: continue): the total of a
    new meter goes on from where the old one stopped.
    """

    rollover: Above | None = Field(
        default=None,
        title="Rolls over at",
        description="The number at which the meter begins at 0 again, before it is calibrated.",
    )
    continue_: Annotated[StrictBool, Field(alias="continue")] = Field(
        default=False,
        title="Go on after a replaced meter",
        description="yes: the total of a new meter goes on from where the old one stopped.",
    )


class Alarm(Table):
    """A limit: ``above`` or ``below`` a number, or ``equals`` a state. ``delay`` is in seconds.

    It is raised once the value has been beyond it for ``delay``, and cleared at once when the value is back,
    by ``hysteresis`` at least.
    """

    above: Number | None = Field(default=None, title="Alarm above")
    below: Number | None = Field(default=None, title="Alarm below")
    equals: StrictBool | StrictInt | StrictStr | None = Field(
        default=None, title="Alarm when it is", description="true, false, a number or a text."
    )
    hysteresis: Annotated[Number, AfterValidator(Within(0, 1e300, "0, or a number above 0"))] = Field(
        default=0.0, title="Over once it is back by"
    )
    delay: Annotated[Duration, AfterValidator(Within(0, 86_400, '"0s" to "1d"'))] = Field(
        default=0.0, title="Only after", description="So long it must have been beyond the limit."
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if sum(limit is not None for limit in (self.above, self.below, self.equals)) != 1:
            raise ValueError("needs one limit; write one of above, below and equals")
        if self.equals is not None and self.hysteresis:
            raise ValueError("has hysteresis, which is for above and below; remove it")
        return self


class Channel(Table):
    """What the installer says about one channel of a device."""

    name: Text = Field(default="", title="Name", description="What people call it.")
    calibrate: Calibrate | None = Field(default=None, title="Calibration")
    plausible: tuple[Bound, Bound] | None = Field(
        default=None,
        title="Plausible, from and to",
        description="A value outside is kept, and marked as suspect. Empty: no bound.",
    )
    report: Report | None = Field(
        default=None, title="Report on change", description="Where it differs from what its device says."
    )
    hold: Annotated[Duration, AfterValidator(Within(0.1, 86_400, '"100ms" to "1d"'))] | None = Field(
        default=None, title="Stays true for", description="So long after it was last true."
    )
    counter: Counter | None = Field(
        default=None,
        title="Counter",
        description="How its total goes on where the number of the meter falls.",
    )
    alarm: Annotated[Mapping[Id, Alarm], Field(max_length=16)] = Field(default_factory=dict)

    @field_validator("plausible")
    @classmethod
    def _grows(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError("is not a range; write [lowest, highest], -inf and inf for no bound")
        return bounds
