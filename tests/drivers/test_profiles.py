"""Every profile means what its vectors say, in as many requests as they say."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from edge_agent import registry
from edge_agent.bus.framing import Framer
from edge_agent.driver import (
    Answerer,
    Cut,
    Device,
    Line,
    NoAnswer,
    Over,
    Read,
    Registers,
    Sample,
    Table,
    find_profiles,
    profile_text,
)

TABLES: tuple[Table, ...] = ("coil", "discrete", "input", "holding")
ADDRESS = 7


class Memory:
    """A device whose registers are a vector's image. It refuses what a device would refuse."""

    def __init__(self, vector: dict[str, Any], most: int) -> None:
        self.asked: list[Read] = []
        self._most = most
        self._cells: dict[tuple[str, int], bytes] = {}
        for table in TABLES:
            for at, text in vector.get(table, {}).items():
                image = bytes.fromhex(text)
                for offset in range(0, len(image), 2):
                    self._cells[table, int(at, 0) + offset // 2] = image[offset : offset + 2]

    async def read(self, question: Read) -> bytes:
        assert question.unit == ADDRESS
        assert 1 <= question.count <= self._most
        self.asked.append(question)
        cells = range(question.start, question.start + question.count)
        return b"".join(self._cells.get((question.table, cell), b"\0\0") for cell in cells)


class Script:
    """A line on which each request of a vector is answered with its response, once."""

    def __init__(self, vector: dict[str, Any]) -> None:
        self.left = {
            bytes.fromhex(said["request"]): bytes.fromhex(said["response"]) for said in vector["says"]
        }

    async def exchange(self, request: bytes, cut: Cut, **_: object) -> bytes:
        assert request in self.left, f"the vector has no answer to {request.hex(' ').upper()}"
        frames = Framer(cut).feed(self.left.pop(request))
        if not frames:
            raise NoAnswer
        return frames[0]


def profiles(*over: Over) -> Iterator[tuple[str, str]]:
    for entry in registry.entries():
        if entry.driver and entry.driver.over in over:
            yield from ((entry.name, profile) for profile in find_profiles(entry.name))


def vectors(over: Over) -> Iterator[Any]:
    for driver, profile in profiles(over):
        for vector in tomllib.loads(profile_text(driver, profile)).get("vector", []):
            yield pytest.param(driver, profile, vector, id=f"{profile}: {vector['name']}")


def opened(driver: str, profile: str) -> Device:
    record = registry.load(driver)
    settings = record.settings.model_validate({"profile": profile, "address": ADDRESS})
    return record.open(settings)


@pytest.mark.parametrize(("driver", "profile", "vector"), list(vectors(Over.REGISTERS)))
async def test_vector(driver: str, profile: str, vector: dict[str, Any]) -> None:
    device = cast("Answerer[Registers, Read]", opened(driver, profile))
    memory = Memory(vector, tomllib.loads(profile_text(driver, profile)).get("max_registers", 125))
    check(await device.poll(memory), vector, device)
    if "requests" in vector:
        assert len(memory.asked) == vector["requests"]


@pytest.mark.parametrize(("driver", "profile", "vector"), list(vectors(Over.LINE)))
async def test_whole_poll(driver: str, profile: str, vector: dict[str, Any]) -> None:
    device = cast("Answerer[Line, bytes]", opened(driver, profile))
    script = Script(vector)
    check(await device.poll(script), vector, device)
    assert script.left == {}, "these were never asked"


def check(samples: Sequence[Sample], vector: dict[str, Any], device: Device) -> None:
    assert dict(samples) == vector["expect"] | dict.fromkeys(vector.get("unknown", []))
    assert len(samples) == len(device.channels)
    quantities = {channel.name: channel.quantity for channel in device.channels}
    for name, value in vector["expect"].items():
        quantity = quantities[name]
        assert quantity.low is None or quantity.low <= value
        assert quantity.high is None or value <= quantity.high


@pytest.mark.parametrize(("driver", "profile"), list(profiles(Over.REGISTERS, Over.LINE)))
def test_profile_is_complete(driver: str, profile: str) -> None:
    facts = tomllib.loads(profile_text(driver, profile))
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", profile), "a profile's name is vendor_model in lower case"
    assert facts["title"]
    assert facts["source"]
    states_requests = any("requests" in vector or "says" in vector for vector in facts["vector"])
    assert states_requests, "one vector states its requests"
    for channel in facts["channels"]:
        named_after = channel["name"].startswith(channel["quantity"])
        assert named_after, f"{channel['name']} is named after its quantity, with a suffix at most"
