"""What tests/fuzz/properties.py promises holds for every driver."""

from collections.abc import Callable

import pytest

from tests.fuzz.properties import Property, all_properties


@pytest.mark.parametrize("made", [pytest.param(made, id=name) for name, made in all_properties().items()])
def test_property(made: Callable[[], Property]) -> None:
    made()()
