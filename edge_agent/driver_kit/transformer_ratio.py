"""Transformers before a meter that it does not know of: what its values are multiplied by.

A profile marks its channels, the installer gives the ratios.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

Ratio = Literal["", "ct", "pt", "ct*pt"]
"""The ratios that multiply a channel: of the current transformer, of the voltage transformer, of both."""

_MOST = 1e6
CtRatio = Annotated[
    float,
    Field(
        gt=0,
        le=_MOST,
        title="CT ratio",
        description="Ratio of an external current transformer that the meter does not know of.",
    ),
]
PtRatio = Annotated[
    float,
    Field(
        gt=0,
        le=_MOST,
        title="PT ratio",
        description="Ratio of an external voltage transformer that the meter does not know of.",
    ),
]


def ratios(ct: float, pt: float, *, profile: str, used: Collection[Ratio]) -> Mapping[Ratio, Decimal]:
    """Return what each kind of ratio multiplies by; ``used`` are those that the profile's channels have.

    Raises:
        ValueError: a ratio is given that multiplies nothing.
    """
    given = {"ct": Decimal(repr(ct)), "pt": Decimal(repr(pt))}
    for kind, ratio in given.items():
        if ratio != 1 and not any(kind in one for one in used):
            raise ValueError(f"{profile} has no channel that {kind}_ratio multiplies; leave it out")
    return {"": Decimal(1), "ct": given["ct"], "pt": given["pt"], "ct*pt": given["ct"] * given["pt"]}
