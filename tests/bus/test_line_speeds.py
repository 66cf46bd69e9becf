"""A device that answers at another speed than it was asked at, on a wire that minds."""

import asyncio
import os
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.bus.line import SerialLine
from edge_agent.bus.serial import SerialFormat
from edge_agent.demo.wire import Wire
from edge_agent.driver import Frame, Garbled, Need

QUESTION = b"\x06050\r\n"
ANSWER = bytes(range(200)) * 10
FASTEST_METER = 0.02  # seconds from the end of the request to the answer: IEC 62056-21, reaction time


def cut(heard: bytes) -> Frame | Need:
    return Frame(len(ANSWER)) if len(heard) >= len(ANSWER) else Need(len(ANSWER))


class Meter:
    """Takes whole questions at 300 baud, and answers at another speed."""

    def __init__(self, port: Path, answers_at: int) -> None:
        self.asked: list[bytes] = []
        self._answers_at = answers_at
        self._heard = b""
        self._descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._set(termios.B300)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._hear)

    def _set(self, speed: int) -> None:
        attributes = termios.tcgetattr(self._descriptor)
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(self._descriptor, termios.TCSANOW, attributes)

    def _hear(self) -> None:
        self._heard += os.read(self._descriptor, 99)
        if len(self._heard) >= len(QUESTION):
            self.asked.append(self._heard)
            self._heard = b""
            self._loop.call_later(FASTEST_METER, self._answer)

    def _answer(self) -> None:
        self._set(self._answers_at)
        os.write(self._descriptor, ANSWER)

    def back_to_300(self) -> None:
        self._set(termios.B300)

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[SerialLine]:
    with Wire(tmp_path / "near", tmp_path / "far", None):
        made = SerialLine(str(tmp_path / "near"), SerialFormat(300), lateness=0.3)
        yield made
        await made.close()


async def test_the_speed_changes_between_question_and_answer_and_back(
    line: SerialLine, tmp_path: Path
) -> None:
    meter = Meter(tmp_path / "far", termios.B9600)
    for _ in range(2):
        heard = await line.exchange(QUESTION, cut, within=20, answer_speed=9600, longest=4096)
        assert heard == ANSWER
        meter.back_to_300()
    assert meter.asked == [QUESTION] * 2
    meter.close()


async def test_an_answer_at_another_speed_is_none(line: SerialLine, tmp_path: Path) -> None:
    meter = Meter(tmp_path / "far", termios.B19200)
    with pytest.raises(Garbled, match="bytes on"):
        await line.exchange(QUESTION, lambda _: Need(4096), within=2, answer_speed=9600, longest=99)
    meter.close()
