"""Our radar code and our simulated radar against aio-ld2410, which others wrote."""

import asyncio
from pathlib import Path

import pytest
from aio_ld2410 import LD2410
from aio_ld2410.protocol import CommandFrame, Report, ReportFrame

from drivers.ld24xx.orders import Order, command
from edge_agent import registry
from edge_agent.cli.driver_page import vectors
from edge_agent.demo import radar
from edge_agent.demo.wire import Wire


@pytest.mark.parametrize(
    ("order", "value"),
    [(Order.ENABLE_CONFIGURATION, b"\x01\x00"), *((order, b"") for order in Order if order < 0xFF)],
)
def test_an_order_is_the_one_that_it_should_be(order: Order, value: bytes) -> None:
    value = b"\x05\x00" if order is Order.SET_BAUD else value
    parsed = CommandFrame.parse(command(order, value))
    assert parsed.data[:2] == bytes([order, 0])
    assert parsed.data[2:] == value


def test_a_report_means_the_same() -> None:
    record = registry.load("ld2410")
    device = record.open(record.settings())
    recorded = [vector for vector in vectors(record) if "expect" in vector and "source" in vector]
    frames = [bytes.fromhex(vector["frame"]) for vector in recorded]
    assert len(frames) > 6
    for frame in frames:
        theirs = Report.parse(ReportFrame.parse(frame).data).data.basic
        ours = dict(device.decode(frame))  # type: ignore[call-arg,arg-type]  # a talker
        assert ours["target_state"] == int(theirs.target_status)
        assert ours["moving_distance"] == theirs.moving_distance / 100
        assert ours["moving_energy"] == theirs.moving_energy
        assert ours["still_distance"] == theirs.static_distance / 100
        assert ours["still_energy"] == theirs.static_energy
        assert ours["detection_distance"] == theirs.detection_distance / 100


async def test_the_simulated_module_is_one_for_others_too(tmp_path: Path) -> None:
    with (
        Wire(tmp_path / "near", tmp_path / "far", radar.BAUD),
        radar.Module(tmp_path / "far") as module,
    ):
        watching = asyncio.create_task(module.watch())
        async with asyncio.timeout(60), LD2410(str(tmp_path / "near")) as device:
            async with device.configure():
                await device.set_engineering_mode(enabled=True)
            assert not module.configuring
            assert module.engineering
            echoes = None
            async for report in device.get_reports():
                if report.engineering is not None:
                    echoes = report.engineering.moving_gate_energy
                    break
            assert echoes == list(range(9))
        watching.cancel()
    assert module.orders == [0xFF, 0x62, 0xFE]
