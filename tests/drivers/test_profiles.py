"""Every profile means what its vectors say, in as many requests as they say."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any, cast

import pytest

from edge_agent import registry
from edge_agent.driver import Answerer, Over, Read, Registers, Table, find_profiles, profile_text

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


def profiles() -> Iterator[tuple[str, str]]:
    for entry in registry.entries():
        if entry.driver and entry.driver.over is Over.REGISTERS:
            yield from ((entry.name, profile) for profile in find_profiles(entry.name))


def vectors() -> Iterator[Any]:
    for driver, profile in profiles():
        for vector in tomllib.loads(profile_text(driver, profile)).get("vector", []):
            yield pytest.param(driver, profile, vector, id=f"{profile}: {vector['name']}")


def opened(driver: str, profile: str) -> Answerer[Registers, Read]:
    record = registry.load(driver)
    settings = record.settings.model_validate({"profile": profile, "address": ADDRESS})
    return cast("Answerer[Registers, Read]", record.open(settings))


@pytest.mark.parametrize(("driver", "profile", "vector"), list(vectors()))
async def test_vector(driver: str, profile: str, vector: dict[str, Any]) -> None:
    device = opened(driver, profile)
    memory = Memory(vector, tomllib.loads(profile_text(driver, profile)).get("max_registers", 125))
    samples = await device.poll(memory)
    assert dict(samples) == vector["expect"] | dict.fromkeys(vector.get("unknown", []))
    assert len(samples) == len(device.channels)
    if "requests" in vector:
        assert len(memory.asked) == vector["requests"]
    quantities = {channel.name: channel.quantity for channel in device.channels}
    for name, value in vector["expect"].items():
        quantity = quantities[name]
        assert quantity.low is None or quantity.low <= value
        assert quantity.high is None or value <= quantity.high


@pytest.mark.parametrize(("driver", "profile"), list(profiles()))
def test_profile_is_complete(driver: str, profile: str) -> None:
    facts = tomllib.loads(profile_text(driver, profile))
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", profile), "a profile's name is vendor_model in lower case"
    assert facts["title"]
    assert facts["source"]
    assert any("requests" in vector for vector in facts["vector"]), "one vector states its requests"
    for channel in facts["channels"]:
        named_after = channel["name"].startswith(channel["quantity"])
        assert named_after, f"{channel['name']} is named after its quantity, with a suffix at most"
