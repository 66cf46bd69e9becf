"""Zones of a tracking radar: which point is in which, and what encloses nothing."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.ld24xx.ld2450.zones import Point, inside
from edge_agent.registry import load

SQUARE: tuple[Point, ...] = ((0, 0), (2, 0), (2, 2), (0, 2))
L_SHAPE: tuple[Point, ...] = ((0, 0), (3, 0), (3, 1), (1, 1), (1, 3), (0, 3))
METRES = st.integers(-400, 400).map(lambda number: number / 100)


@pytest.mark.parametrize(
    ("point", "there"),
    [((0.5, 0.5), True), ((2.5, 0.5), True), ((0.5, 2.5), True), ((2, 2), False), ((-0.1, 0.5), False)],
)
def test_a_zone_may_have_a_corner_that_points_inwards(point: Point, there: bool) -> None:  # noqa: FBT001
    assert inside(L_SHAPE, point) is there
    assert inside(tuple(reversed(L_SHAPE)), point) is there
    assert inside(L_SHAPE[2:] + L_SHAPE[:2], point) is there


@given(METRES, METRES)
def test_of_zones_that_share_sides_a_point_is_in_exactly_one(x: float, y: float) -> None:
    tiles = [
        ((left, low), (left + 2, low), (left + 2, low + 2), (left, low + 2))
        for left in range(-4, 6, 2)
        for low in range(-4, 6, 2)
    ]
    assert sum(inside(tile, (x, y)) for tile in tiles) == 1


@given(st.integers(3, 12), METRES, METRES)
def test_a_polygon_of_many_corners_is_near_its_circle(corners: int, x: float, y: float) -> None:
    angles = [math.tau * corner / corners for corner in range(corners)]
    polygon = tuple((3 * math.cos(angle), 3 * math.sin(angle)) for angle in angles)
    away = math.hypot(x, y)
    if away > 3.001:
        assert not inside(polygon, (x, y))
    if away < 3 * math.cos(math.pi / corners) - 0.001:
        assert inside(polygon, (x, y))


@pytest.mark.parametrize(
    ("zones", "message"),
    [
        ({"desk": [[0, 0], [1, 1]]}, "at least 3"),
        ({"desk": [[0, 0], [1, 1], [2, 2]]}, "encloses nothing; write at least three corners"),
        ({"desk": [[0, 0], [100, 0], [0, 100]]}, "less than or equal to 20"),
        ({"Desk 1": SQUARE}, "'Desk 1' is no name of a zone"),
        ({"desk": [[0, 0, 0], [1, 0], [1, 1]]}, "at most 2 items"),
        ({"desk": [[0, math.nan], [1, 0], [1, 1]]}, "desk"),
    ],
)
def test_what_is_no_zone_is_refused(zones: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        load("ld2450").settings.model_validate({"zones": zones})
