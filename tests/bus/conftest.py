"""What several tests of the bus stand on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text

CLIMATE = {"temperature": 21.5, "humidity": 40.0}


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[Path]:
    """A tty at whose other end a climate sensor answers."""
    climate = unit(2, profile_text("modbus", "xy_md02"), lambda: CLIMATE)
    with Wire(tmp_path / "near", tmp_path / "far", 9600), Slaves(tmp_path / "far", [climate]):
        yield tmp_path / "near"
