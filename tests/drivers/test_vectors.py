"""Every driver keeps the promises recorded beside its code."""

import asyncio
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any, cast

import pytest

from edge_agent import driver as contract
from edge_agent import registry
from edge_agent.bus.advertisement import uuid, written
from edge_agent.bus.framing import Framer
from edge_agent.bus.modbus import answer_cut, parse, read_request
from edge_agent.driver import (
    Answerer,
    Beacon,
    BeaconSettings,
    Device,
    Driver,
    Fault,
    Gatt,
    Line,
    NotMine,
    Over,
    Read,
    Refused,
    Registers,
    Sample,
    Talker,
)

Vector = dict[str, Any]
LONGEST_DEAF = 8  # good frames that a bad one may cost


def read(driver: Driver[Any]) -> list[Vector]:
    return list(tomllib.loads(registry.resource(driver, "vectors.toml"))["vector"])


def every(over: Over) -> Iterator[Any]:
    for entry in registry.entries():
        if entry.driver and entry.driver.over is over:
            for vector in read(entry.driver):
                yield pytest.param(entry.driver, vector, id=f"{entry.name}: {vector['name']}")


def opened(driver: Driver[Any], vector: Vector) -> Device:
    settings = vector.get("settings", {})
    if issubclass(driver.settings, BeaconSettings):
        settings = {"address": vector.get("advertisement", {}).get("address", "00:00:00:00:00:00")} | settings
    return driver.open(driver.settings.model_validate(settings))


def told(samples: Iterable[Sample]) -> dict[str, tuple[bool, object]]:
    """Make samples comparable, with True not the same as 1, and each channel once."""
    listed = list(samples)
    assert len({sample.channel for sample in listed}) == len(listed)
    return {channel: (isinstance(value, bool), value) for channel, value in listed}


def expected(vector: Vector) -> dict[str, tuple[bool, object]]:
    known = [Sample(channel, value) for channel, value in vector["expect"].items()]
    return told(known + [Sample(channel, None) for channel in vector.get("unknown", [])])


def fault(vector: Vector) -> type[Fault]:
    kind = getattr(contract, vector["fault"])
    assert issubclass(kind, Fault)
    return cast("type[Fault]", kind)


def test_no_driver_is_broken() -> None:
    assert [(entry.name, entry.problem) for entry in registry.entries() if entry.problem] == []


@pytest.mark.parametrize(("driver", "vector"), list(every(Over.STREAM)))
def test_frame(driver: Driver[Any], vector: Vector) -> None:
    device = cast("Talker", opened(driver, vector))
    frame = bytes.fromhex(vector["frame"])
    if "fault" in vector:
        with pytest.raises(fault(vector)) as caught:
            device.decode(frame)
        assert caught.type is fault(vector)
        return
    assert told(device.decode(frame)) == expected(vector)
    assert {channel.name for channel in device.channels} >= vector["expect"].keys()


@pytest.mark.parametrize(("driver", "vector"), list(every(Over.STREAM)))
def test_frame_in_a_stream(driver: Driver[Any], vector: Vector) -> None:
    """Byte by byte, between garbage and good frames: found if good, never believed if bad, soon over."""
    assert driver.cut is not None
    device = cast("Talker", opened(driver, vector))
    frame = bytes.fromhex(vector["frame"])
    good = next(bytes.fromhex(other["frame"]) for other in read(driver) if "expect" in other)
    believed = [told(device.decode(good))] + ([expected(vector)] if "expect" in vector else [])
    for garbage in (b"", b"\x00\xff\x55", good[:5], good[:6], good[1:], good[:-1]):
        framer, heard = Framer(driver.cut), []
        for byte in garbage + frame + garbage + good * LONGEST_DEAF:
            heard += framer.feed(bytes([byte]))
        results = [outcome(device, found) for found in heard]
        assert [result for result in results if result is not None and result not in believed] == []
        assert results[-1] == believed[0]
        if vector.get("fault") in {None, "NotMine", "Implausible"}:
            assert frame in heard


def outcome(device: Talker, frame: bytes) -> dict[str, tuple[bool, object]] | None:
    try:
        return told(device.decode(frame))
    except Fault:
        return None


@pytest.mark.parametrize(("driver", "vector"), list(every(Over.ADVERTISEMENTS)))
def test_advertisement(driver: Driver[Any], vector: Vector) -> None:
    said = written(vector["advertisement"])
    device = cast("Beacon", opened(driver, vector))
    for before in vector.get("before", []):
        device.decode(written(vector["advertisement"] | before))
    if "fault" in vector:
        with pytest.raises(fault(vector)) as caught:
            device.decode(said)
        assert caught.type is fault(vector)
        return
    assert told(device.decode(said)) == expected(vector)
    assert {channel.name for channel in device.channels} >= vector["expect"].keys()
    bare = said._replace(service_data={}, manufacturer_data={})
    with pytest.raises(NotMine):
        device.decode(bare)
    assert driver.broadcast is not None
    heard = set(driver.broadcast.services) & set(said.service_data)
    assert heard or set(driver.broadcast.companies) & set(said.manufacturer_data), (
        "the radio would not pass it"
    )


@pytest.mark.parametrize(("driver", "vector"), list(every(Over.REGISTERS)))
def test_question_and_answer(driver: Driver[Any], vector: Vector) -> None:
    question = read_request(bytes.fromhex(vector["request"]))
    response = bytes.fromhex(vector["response"])
    if "fault" in vector:
        with pytest.raises(fault(vector)) as caught:
            parse(question, response)
        assert caught.type is fault(vector)
        return
    if "words" in vector:
        assert parse(question, response) == bytes.fromhex(vector["words"])
    else:
        device = cast("Answerer[Registers, Read]", opened(driver, vector))
        assert told(device.decode(parse(question, response), question)) == expected(vector)
    framer = Framer(answer_cut(question))
    heard = [frame for byte in b"\x00\xff\x55" + response for frame in framer.feed(bytes([byte]))]
    assert heard == [response]


@pytest.mark.parametrize(("driver", "vector"), list(every(Over.LINE)))
def test_request_and_response(driver: Driver[Any], vector: Vector) -> None:
    device = cast("Answerer[Line, bytes]", opened(driver, vector))
    request, response = bytes.fromhex(vector["request"]), bytes.fromhex(vector["response"])
    if "fault" in vector:
        with pytest.raises(fault(vector)) as caught:
            device.decode(response, request)
        assert caught.type is fault(vector)
        return
    assert told(device.decode(response, request)) == expected(vector)


@pytest.mark.parametrize(("driver", "vector"), list(every(Over.GATT)))
def test_characteristic(driver: Driver[Any], vector: Vector) -> None:
    device = cast("Answerer[Gatt, str]", opened(driver, vector))
    asked, value = uuid(vector["characteristic"]), bytes.fromhex(vector["value"])
    if "fault" in vector:
        with pytest.raises(fault(vector)) as caught:
            device.decode(value, asked)
        assert caught.type is fault(vector)
        return
    assert told(device.decode(value, asked)) == expected(vector)
    assert {channel.name for channel in device.channels} >= vector["expect"].keys()
    there = {asked: value}
    assert told(asyncio.run(device.poll(Characteristics(there)))) == expected(vector), "it has no other one"
    with pytest.raises(Refused):
        asyncio.run(device.poll(Characteristics({})))


class Characteristics:
    """What a connected device has; a Gatt."""

    def __init__(self, there: dict[str, bytes]) -> None:
        self._there = there

    async def read(self, characteristic: str) -> bytes:
        if characteristic not in self._there:
            raise Refused
        return self._there[characteristic]
