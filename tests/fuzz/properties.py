"""Whatever the wire brings, a driver answers with samples or a Fault, and a cut moves on.

A property is made for a driver, and run by hypothesis in the suite, by atheris in a soak.
"""

import asyncio
import json
import tomllib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent import registry
from edge_agent.bus.advertisement import uuid, written
from edge_agent.bus.framing import Framer
from edge_agent.bus.modbus import parse, read_request
from edge_agent.driver import (
    Advertisement,
    Answerer,
    Beacon,
    BeaconSettings,
    Cut,
    Driver,
    Fault,
    Frame,
    Gatt,
    Line,
    Need,
    NoAnswer,
    Over,
    Read,
    Refused,
    Registers,
    Sample,
    Skip,
    Talker,
    find_profiles,
)

EXAMPLES = settings(max_examples=200, deadline=None)

_LONGEST = 300
"""At least what the header of a frame can claim, bytes: 261 of M-Bus, 256 of Modbus, 267 of DL/T 645."""

Property = Callable[[], None]
"""A hypothesis test: called, it tries examples; its ``hypothesis.fuzz_one_input`` takes a fuzzer's bytes."""


def vectors(driver: Driver[Any]) -> list[dict[str, Any]]:
    return list(tomllib.loads(registry.resource(driver, "vectors.toml"))["vector"])


def noise(frames: list[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes such as a bad line gives: noise, whole frames, pieces of frames, frames with a byte changed."""
    frame = st.sampled_from(frames)
    piece = st.tuples(frame, st.integers(0, 40), st.integers(0, 40)).map(lambda t: t[0][t[1] : t[2]])
    hit = st.tuples(frame, st.integers(0, 40), st.integers(0, 255)).map(
        lambda t: t[0][: t[1]] + bytes([t[2]]) + t[0][t[1] + 1 :]
    )
    return st.lists(st.one_of(st.binary(max_size=50), frame, piece, hit), max_size=4).map(b"".join)


def check(samples: Any, channels: Any) -> None:
    names = [sample.channel for sample in samples]
    assert len(set(names)) == len(names), f"a channel is there twice: {names}"
    unknown = set(names) - {channel.name for channel in channels}
    assert not unknown, f"decode returns {unknown}, which `channels` does not have"
    assert all(isinstance(sample, Sample) for sample in samples)
    json.dumps(samples, allow_nan=False)


def cut_always_moves_on(driver: Driver[Any]) -> Property:
    cut = driver.cut
    assert cut is not None
    frames = [bytes.fromhex(vector["frame"]) for vector in vectors(driver)]

    @EXAMPLES
    @given(noise(frames).filter(bool))
    def run(heard: bytes) -> None:
        check_move(cut, heard)

    return run


def check_move(cut: Cut, heard: bytes) -> None:
    match cut(heard):
        case Need(size):
            told = (
                f"the cut says Need({size}) of {len(heard)} bytes; it counts those too, and is at most 4096"
            )
            assert len(heard) < size <= 4096, told
        case Frame(size) | Skip(size) as move:
            assert 0 < size <= len(heard), (
                f"the cut says {move} of {len(heard)} bytes; that is 1 to all of them"
            )


def frame_gives_samples_or_a_fault(driver: Driver[Any]) -> Property:
    variants = [vector.get("settings", {}) for vector in vectors(driver)]
    devices = [driver.open(driver.settings.model_validate(variant)) for variant in variants]
    frames = [bytes.fromhex(vector["frame"]) for vector in vectors(driver)]

    @EXAMPLES
    @given(noise(frames), st.sampled_from(devices))
    def run(frame: bytes, device: Talker) -> None:
        with suppress(Fault):
            check(device.decode(frame), device.channels)

    return run


def answer_gives_samples_or_a_fault(driver: Driver[Any]) -> Property:
    name = next(entry.name for entry in registry.entries() if entry.driver is driver)
    devices = [
        driver.open(driver.settings.model_validate({"profile": profile, "address": 1}))
        for profile in find_profiles(name)
    ]
    table = st.sampled_from(["coil", "discrete", "input", "holding"])
    request = st.builds(Read, st.just(1), table, st.integers(0, 400), st.integers(1, 125))

    @EXAMPLES
    @given(st.data(), st.sampled_from(devices), request)
    def run(data: st.DataObject, device: Answerer[Registers, Read], question: Read) -> None:
        words = question.table in {"input", "holding"}
        whole = question.count * 2 if words else (question.count + 7) // 8
        size = data.draw(st.one_of(st.just(whole), st.integers(0, 300)))
        answer = data.draw(st.binary(min_size=size, max_size=size))
        with suppress(Fault):
            samples = device.decode(answer, question)
            assert size == whole
            check(samples, device.channels)

    return run


def response_gives_words_or_a_fault(driver: Driver[Any]) -> Property:
    requests = [read_request(bytes.fromhex(vector["request"])) for vector in vectors(driver)]
    responses = [bytes.fromhex(vector["response"]) for vector in vectors(driver)]

    @EXAMPLES
    @given(st.sampled_from(requests), noise(responses))
    def run(question: Read, response: bytes) -> None:
        with suppress(Fault):
            assert parse(question, response) in response

    return run


class BadLine:
    """A line that brings what it is given instead of answers, and looks after the cuts it lends."""

    def __init__(self, brings: list[bytes]) -> None:
        self.asked: list[bytes] = []
        self._brings = brings

    async def exchange(self, request: bytes, cut: Cut, **_: object) -> bytes:
        self.asked.append(request)
        assert len(self.asked) < 1000, "a poll that does not end"
        heard = self._brings[len(self.asked) % len(self._brings)] if self._brings else b""
        for end in range(1, len(heard) + 1):
            check_move(cut, heard[:end])
        frames = Framer(cut).feed(heard)
        if not frames:
            raise NoAnswer
        return frames[0]


def bad_line_gives_samples_or_a_fault(driver: Driver[Any]) -> Property:
    variants = [vector.get("settings", {}) for vector in vectors(driver)]
    devices = [driver.open(driver.settings.model_validate(variant)) for variant in variants]
    requests = [bytes.fromhex(vector["request"]) for vector in vectors(driver)]
    responses = [bytes.fromhex(vector["response"]) for vector in vectors(driver)]

    @EXAMPLES
    @given(st.sampled_from(devices), st.sampled_from(requests), st.lists(noise(responses), max_size=3))
    def run(device: Answerer[Line, bytes], request: bytes, brings: list[bytes]) -> None:
        for frame in brings:
            with suppress(Fault):
                check(device.decode(frame, request), device.channels)
        with suppress(Fault):
            check(asyncio.run(device.poll(BadLine(brings))), device.channels)

    return run


def garbage_does_not_hide_what_follows(driver: Driver[Any]) -> Property:
    good = [vector for vector in vectors(driver) if "expect" in vector]
    responses = [bytes.fromhex(vector["response"]) for vector in vectors(driver)]
    cuts = [(cut_for(driver, vector), bytes.fromhex(vector["response"])) for vector in good]

    @EXAMPLES
    @given(st.sampled_from(cuts), noise(responses))
    def run(wanted: tuple[Cut, bytes], garbage: bytes) -> None:
        cut, response = wanted
        found = Framer(cut).feed(garbage + response * (2 + _LONGEST // len(response)))
        assert any(response.endswith(frame) for frame in found)

    return run


def cut_for(driver: Driver[Any], vector: dict[str, Any]) -> Cut:
    """Return the cut that a device hands out together with a vector's request.

    What is recorded for another request is answered, as its way may lead over that; all else is refused.
    """
    opened = driver.open(driver.settings.model_validate(vector.get("settings", {})))
    device = cast("Answerer[Line, bytes]", opened)
    wanted, found = bytes.fromhex(vector["request"]), list[Cut]()
    recorded = {bytes.fromhex(other["request"]): other for other in vectors(driver) if "expect" in other}

    class Catching:
        async def exchange(self, request: bytes, cut: Cut, **_: object) -> bytes:
            if request in recorded and not request.endswith(wanted):
                return bytes.fromhex(recorded[request]["response"])
            if not request.endswith(wanted):
                raise Refused
            found.append(cut)
            raise NoAnswer

    with suppress(Fault):
        asyncio.run(device.poll(Catching()))
    assert found, f"a poll never asks {wanted.hex(' ')}"
    return found[0]


def advertisement_gives_samples_or_a_fault(driver: Driver[Any]) -> Property:
    adverts = [written(vector["advertisement"]) for vector in vectors(driver)]
    devices = [
        driver.open(driver.settings.model_validate(beacon_settings(driver, vector)))
        for vector in vectors(driver)
    ]
    payloads = [
        payload
        for advert in adverts
        for payload in (*advert.service_data.values(), *advert.manufacturer_data.values())
    ]

    @EXAMPLES
    @given(st.data(), st.sampled_from(adverts), st.sampled_from(devices))
    def run(data: st.DataObject, advert: Advertisement, device: Beacon) -> None:
        told = advert._replace(
            service_data={uuid: data.draw(noise(payloads)) for uuid in advert.service_data},
            manufacturer_data={company: data.draw(noise(payloads)) for company in advert.manufacturer_data},
        )
        with suppress(Fault):
            check(device.decode(told), device.channels)

    return run


class BadDevice:
    """A connected device in which stands anything, or nothing."""

    def __init__(self, brings: list[bytes | None]) -> None:
        self.asked = 0
        self._brings = brings

    async def read(self, _characteristic: str) -> bytes:
        self.asked += 1
        assert self.asked < 1000, "a poll that does not end"
        value = self._brings[self.asked % len(self._brings)] if self._brings else None
        if value is None:
            raise Refused
        return value


def value_gives_samples_or_a_fault(driver: Driver[Any]) -> Property:
    told = vectors(driver)
    devices = [driver.open(driver.settings.model_validate(beacon_settings(driver, each))) for each in told]
    values = [bytes.fromhex(vector["value"]) for vector in told]
    asked = [uuid(vector["characteristic"]) for vector in told]

    @EXAMPLES
    @given(st.sampled_from(devices), st.sampled_from(asked), st.lists(st.none() | noise(values), max_size=4))
    def run(device: Answerer[Gatt, str], characteristic: str, brings: list[bytes | None]) -> None:
        for value in filter(None, brings):
            with suppress(Fault):
                check(device.decode(value, characteristic), device.channels)
        with suppress(Fault):
            check(asyncio.run(device.poll(BadDevice(brings))), device.channels)

    return run


def beacon_settings(driver: Driver[Any], vector: dict[str, Any]) -> dict[str, Any]:
    address = {"address": vector.get("advertisement", {}).get("address", "00:00:00:00:00:00")}
    told: dict[str, Any] = vector.get("settings", {})
    return address | told if issubclass(driver.settings, BeaconSettings) else told


PROPERTIES: dict[Over, tuple[Callable[[Driver[Any]], Property], ...]] = {
    Over.STREAM: (cut_always_moves_on, frame_gives_samples_or_a_fault),
    Over.REGISTERS: (answer_gives_samples_or_a_fault, response_gives_words_or_a_fault),
    Over.LINE: (bad_line_gives_samples_or_a_fault, garbage_does_not_hide_what_follows),
    Over.ADVERTISEMENTS: (advertisement_gives_samples_or_a_fault,),
    Over.GATT: (value_gives_samples_or_a_fault,),
}
"""What must hold for a driver, by what it speaks over."""


def all_properties() -> dict[str, Callable[[], Property]]:
    """Return every property of every driver by a name such as ``sml-cut_always_moves_on``."""
    return {
        f"{entry.name}-{made.__name__}": partial(made, entry.driver)
        for entry in registry.entries()
        if entry.driver
        for made in PROPERTIES[entry.driver.over]
    }
