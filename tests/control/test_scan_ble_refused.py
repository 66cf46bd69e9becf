"""A scan over the control socket that cannot begin is refused, with its reason and the remedy."""

import sys
from pathlib import Path

import pytest

from edge_agent.control.protocol import RefusedError
from edge_agent.control.scan import ScanAirArgs, scan_air


async def test_a_version_that_was_removed_meanwhile_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone" / "python"))
    with pytest.raises(RefusedError, match=r"hci9: the scan cannot be started .*; restart the agent"):
        await scan_air(ScanAirArgs(adapter="hci9", seconds=5))
