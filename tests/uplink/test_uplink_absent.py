"""Servers that are not there: said once, and asked again."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.faults.broker import free_port
from tests.uplink.rig import running, settings


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".example", "no-such-host.invalid", "127.0.0.1"])
async def test_a_server_that_cannot_be_is_told_and_asked_again(tmp_path: Path, host: str) -> None:
    more = {"servers": [f"mqtt://{host}:{free_port()}"]}
    async with running(tmp_path, settings(1, **more)) as rig:
        await rig.until(lambda: "no connection" in rig.uplink.status().problem)
        assert host in rig.uplink.status().problem
        await asyncio.sleep(0.3)


async def test_two_servers_that_are_away_are_not_told_again_and_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more: dict[str, Any] = {"servers": [f"mqtt://127.0.0.1:{free_port()}", f"mqtt://127.0.0.1:{free_port()}"]}
    async with running(tmp_path, settings(1, **more), retry=0.05) as rig:
        await rig.until(lambda: rig.uplink.status().problem)
        await asyncio.sleep(1)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) <= 2
