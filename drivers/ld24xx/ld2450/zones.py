"""Zones in a radar's view: polygons in metres, and which points lie in them."""

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

Coordinate = Annotated[float, Field(ge=-20, le=20)]
Point = tuple[Coordinate, Coordinate]


def _has_an_inside(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    """Refuse what encloses nothing: corners that stand on one line, or at one place."""
    (x, y), *others = corners
    sides = [(right - x, up - y) for right, up in others]
    if all(a * d == b * c for (a, b), (c, d) in pairwise(sides)):
        raise ValueError("encloses nothing; write at least three corners that are not on one line")
    return corners


Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=32), AfterValidator(_has_an_inside)]


def inside(polygon: Polygon, point: Point) -> bool:
    """Say whether a point lies in a polygon, by the even-odd rule.

    Of two polygons that share a side, a point on that side lies in exactly one.
    """
    x, y = point
    within = False
    for (x1, y1), (x2, y2) in pairwise((polygon[-1], *polygon)):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            within = not within
    return within
