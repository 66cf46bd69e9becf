"""What a radar may be told: these orders and no others, and it is never left in configuration."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.ld24xx.envelope import CONFIGURATION
from drivers.ld24xx.orders import Order, acknowledged, command, set_up
from edge_agent.bus.framing import Framer
from edge_agent.driver import Cut, Fault, NoAnswer, Skip

FACTORY = 256000
ENABLE, END = Order.ENABLE_CONFIGURATION, Order.END_CONFIGURATION
HARMLESS = {0xFF, 0xFE, 0x62, 0x63, 0xA1, 0xA3}


def answer(order: int, status: int = 0) -> bytes:
    return bytes.fromhex("FDFCFBFA 0400") + bytes([order, 1, status, 0]) + bytes.fromhex("04030201")


class Scripted:
    """A line whose answers are given: "ok", "refused" or "silent", in the order of the questions."""

    def __init__(self, *script: str) -> None:
        self.told: list[tuple[int, int | None]] = []
        self._script: Iterator[str] = itertools.chain(script, itertools.repeat("ok"))

    async def exchange(  # noqa: PLR0913 - as in the contract
        self,
        request: bytes,
        cut: Cut,
        *,
        within: float,
        speed: int | None = None,
        answer_speed: int | None = None,
        longest: int = 1024,
    ) -> bytes:
        assert 0 < within <= 2
        assert answer_speed is None
        assert longest == 1024
        assert request.startswith(CONFIGURATION)
        self.told.append((request[6], speed))
        reply = next(self._script)
        if reply == "silent":
            raise NoAnswer("nothing")
        (frame,) = Framer(cut).feed(answer(request[6], int(reply == "refused")))
        return frame


async def play(*script: str, baud: int = FACTORY, engineering: bool | None = None) -> tuple[Scripted, bool]:
    line = Scripted(*script)
    try:
        await set_up(line, baud=baud, factory=FACTORY, engineering=engineering)  # type: ignore[arg-type]  # any of them
    except Fault:
        return line, False
    return line, True


@pytest.mark.parametrize("told", [{"engineering": mode} for mode in (None, False, True)])
@pytest.mark.parametrize("baud", [FACTORY, 9600])
async def test_nothing_else_is_ever_told_and_configuration_is_always_ended(
    baud: int, told: dict[str, bool | None]
) -> None:
    for script in itertools.product(["ok", "refused", "silent"], repeat=6):
        line, _ = await play(*script, baud=baud, **told)
        orders = [order for order, _ in line.told]
        assert set(orders) <= HARMLESS
        assert len(orders) <= 9
        assert line.told[-1] == (END, None)
        if (ENABLE, FACTORY) in line.told and Order.RESTART not in orders:
            assert line.told[-2] == (END, FACTORY), "at the speed at which it may have heard the enable, too"


def test_there_is_one_place_where_an_order_is_made() -> None:
    assert {int(order) for order in Order} == HARMLESS
    with pytest.raises(ValueError, match="162 is not a valid Order"):
        command(0xA2)  # type: ignore[arg-type]  # factory reset, which must not be possible
    family = Path(__file__).parents[2] / "drivers" / "ld24xx"
    writing = [
        path.name
        for path in family.rglob("*.py")
        if re.search(r"exchange\(|to_bytes\(", path.read_text("utf-8"))
    ]
    assert writing == ["orders.py"]


async def test_engineering_mode_is_set_between_enable_and_end() -> None:
    line, well = await play(engineering=True)
    assert well
    assert line.told == [(ENABLE, None), (Order.ENGINEERING_ON, None), (END, None)]
    line, _ = await play(engineering=False)
    assert line.told[1] == (Order.ENGINEERING_OFF, None)


async def test_a_module_at_its_factory_speed_is_moved() -> None:
    line, well = await play("silent", baud=9600)
    assert well
    assert line.told == [
        (ENABLE, None),
        (ENABLE, FACTORY),
        (Order.SET_BAUD, FACTORY),
        (Order.RESTART, FACTORY),
        (ENABLE, None),
        (END, None),
    ]


async def test_a_module_that_starts_is_waited_for_but_not_for_ever() -> None:
    line, well = await play("silent", "ok", "ok", "ok", "silent", "silent", "ok", baud=9600)
    assert well
    assert line.told[-4:] == [(ENABLE, None), (ENABLE, None), (ENABLE, None), (END, None)]
    line, well = await play("silent", "ok", "ok", "ok", *["silent"] * 9, baud=9600)
    assert not well
    assert len(line.told) == 8


async def test_a_module_that_says_no_is_a_fault() -> None:
    line, well = await play("ok", "refused", engineering=True)
    assert not well
    assert line.told[-1] == (END, None)


def test_only_its_own_acknowledgement_is_taken() -> None:
    report = bytes.fromhex("F4F3F2F1 0D00 02AA 02 5100 00 0000 3B 0000 5500 F8F7F6F5")
    cut = acknowledged(ENABLE)
    for other in (report, answer(END), command(ENABLE, b"\x01\x00"), command(END)):
        assert cut(other) == Skip(len(other))
        assert Framer(cut).feed(other + answer(ENABLE)) == [answer(ENABLE)]
