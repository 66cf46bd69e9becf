"""The DL/T 645 driver against a meter that others wrote, at the real byte times of 8E1."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drivers.dlt645 import Meter, driver
from edge_agent.bus.line import SerialLine
from edge_agent.bus.serial import SerialFormat
from edge_agent.demo.wire import BITS_PER_BYTE, Wire
from edge_agent.driver import Refused
from tests.peers.dlt645_meter import ENERGIES, VARIABLES

PROGRAM = Path(__file__).with_name("dlt645_meter.py")
ADDRESS = "123456781012"
BITS_WITH_PARITY = 11
CHANNELS = {
    "energy_total": 0x00000000,
    "energy_import": 0x00010000,
    "energy_import_t1": 0x00010100,
    "energy_import_t2": 0x00010200,
    "energy_export": 0x00020000,
    "voltage_a": 0x02010100,
    "voltage_b": 0x02010200,
    "voltage_c": 0x02010300,
    "current_a": 0x02020100,
    "current_c": 0x02020300,
    "power": 0x02030000,
    "power_c": 0x02030300,
    "reactive_power": 0x02040000,
    "power_factor": 0x02060000,
    "power_factor_a": 0x02060100,
    "frequency": 0x02800002,
    "temperature": 0x02800007,
}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer answers all that it is asked, on a busy machine, too."""
    monkeypatch.setattr("drivers.dlt645._WITHIN", 20.0)


def opened(profile: str, address: str = ADDRESS) -> Meter:
    made = driver.open(driver.settings.model_validate({"profile": profile, "address": address}))
    assert isinstance(made, Meter)
    return made


def expected(device: Meter) -> dict[str, float]:
    """Return what the peer was told, in our units; what it was not told is 0 there."""
    told = ENERGIES | VARIABLES
    kilo = {channel.name: 1000 if channel.quantity.unit in {"W", "var"} else 1 for channel in device.channels}
    return {name: round(told.get(CHANNELS.get(name, -1), 0.0) * factor, 4) for name, factor in kilo.items()}


@asynccontextmanager
async def metered(folder: Path, baud: int) -> AsyncIterator[SerialLine]:
    """Run the peer on a wire whose bytes take as long as with a parity bit, and give the line to it."""
    with Wire(folder / "near", folder / "far", baud * BITS_PER_BYTE // BITS_WITH_PARITY) as wire:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(PROGRAM), str(wire.far), str(baud), ADDRESS),
            stdout=asyncio.subprocess.PIPE,
        )
        line = SerialLine(str(wire.near), SerialFormat(baud))
        try:
            assert process.stdout is not None
            async with asyncio.timeout(60):
                assert await process.stdout.readline() == b"up\n"
            yield line
        finally:
            await line.close()
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def test_a_poll_at_2400_baud(tmp_path: Path) -> None:
    device = opened("dlt645_2007_single")
    async with metered(tmp_path, 2400) as line:
        assert dict(await device.poll(line)) == expected(device)
        assert line.skipped == 4 * line.exchanges, "the FE before each answer"


async def test_refused_blocks_are_read_item_by_item_and_not_asked_for_again(tmp_path: Path) -> None:
    device, blocks = opened("dlt645_2007_three"), 8
    async with metered(tmp_path, 9600) as line:
        assert dict(await device.poll(line)) == expected(device)
        assert line.exchanges == blocks + len(device.channels)
        assert dict(await device.poll(line)) == expected(device)
        assert line.exchanges == blocks + 2 * len(device.channels)


async def test_a_meter_that_refuses_everything(tmp_path: Path) -> None:
    device = opened("dlt645_2007_energy", "000000000042")
    async with metered(tmp_path, 9600) as line:
        for _ in range(2):
            with pytest.raises(Refused, match=r"meter 000000000042 .* another error \(error word 01\)"):
                await device.poll(line)
