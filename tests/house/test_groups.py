"""Tests of one group run one after the other in one process: they share a browser, a broker or a line."""

import os

import pytest

pytestmark = pytest.mark.xdist_group("groups")


def test_groups_stay_together(request: pytest.FixtureRequest) -> None:
    # pytest 9.2.0 takes no notice of what pytest-xdist 3.8.0 does for it, and spreads groups without a word.
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith("@groups")
