"""A DL/T 645 meter that follows a script, written without a look at the driver."""

from collections.abc import Callable
from typing import Any

from drivers.dlt645 import Meter, driver
from edge_agent.driver import NoAnswer

# 68 and 16 stand in the address, and 68 in the data (35 with 33 added): only the length tells the end
ADDRESS, OTHER = "681668161635", "000000000042"
NO_SUCH_DATA = -0x02
Items = dict[str, str | int]
Said = list[tuple[float, bytes]]
ENERGY: Items = {"00010000": "35 06 12 00", "00020000": "07 03 00 00"}
ENERGY_MEANS = {"energy_import": 1206.35, "energy_export": 3.07}


def frame(control: int, data: bytes, address: str = ADDRESS) -> bytes:
    body = b"\x68" + bytes.fromhex(address)[::-1] + b"\x68" + bytes([control, len(data)])
    body += bytes((byte + 0x33) % 256 for byte in data)
    return body + bytes([sum(body) % 256]) + b"\x16"


class Question:
    """A request as a meter takes it apart."""

    def __init__(self, heard: bytes) -> None:
        self.preamble = len(heard) - len(heard.lstrip(b"\xfe"))
        heard = heard[self.preamble :]
        self.address, self.control = heard[1:7][::-1].hex().upper(), heard[8]
        data = bytes((byte - 0x33) % 256 for byte in heard[10:-2])
        assert heard == frame(self.control, data, self.address)
        size = 4 if self.control & 0x10 else 2
        self.wire, self.rest = data[:size], data[size:]
        self.item = self.wire[::-1].hex().upper()

    def answer(self, value: bytes, *, more: bool = False, address: str = ADDRESS) -> bytes:
        return frame(self.control | 0x80 | 0x20 * more, self.wire + value + self.rest, address)

    def refusal(self, word: int) -> bytes:
        return frame(self.control | 0xC0, bytes([word]))


def answering(items: Items) -> Callable[[Question], Said]:
    """Script a meter that has these items: values in hex, low byte first, or error words below zero."""

    def answers(question: Question) -> Said:
        value = items.get(question.item, NO_SUCH_DATA)
        if isinstance(value, int):
            return [(0, question.refusal(-value))]
        return [(0, question.answer(bytes.fromhex(value)))]

    return answers


class Table:
    """A line with a meter that answers from a script at once. It remembers what it was asked."""

    def __init__(self, items: Items) -> None:
        self.asked: list[Question] = []
        self.script = answering(items)

    async def exchange(self, request: bytes, *_: object, **__: object) -> bytes:
        self.asked.append(Question(request))
        said = self.script(self.asked[-1])
        if not said:
            raise NoAnswer
        return said[0][1]


def opened(profile: str = "dlt645_2007_energy", **facts: Any) -> Meter:
    made = driver.open(driver.settings.model_validate({"profile": profile, "address": ADDRESS} | facts))
    assert isinstance(made, Meter)
    return made
