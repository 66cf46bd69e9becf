"""Whatever the wire brings, a driver answers with samples or a Fault, and a cut moves on."""

import json
import tomllib
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent import registry
from edge_agent.bus.modbus import parse, read_request
from edge_agent.driver import (
    Answerer,
    Driver,
    Fault,
    Frame,
    Need,
    Over,
    Read,
    Registers,
    Sample,
    Skip,
    Talker,
    find_profiles,
)

EXAMPLES = settings(max_examples=200, deadline=None)


def drivers(over: Over) -> list[Any]:
    return [
        pytest.param(entry.driver, id=entry.name)
        for entry in registry.entries()
        if entry.driver and entry.driver.over is over
    ]


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
    assert len(set(names)) == len(names)
    assert set(names) <= {channel.name for channel in channels}
    assert all(isinstance(sample, Sample) for sample in samples)
    json.dumps(samples, allow_nan=False)


@pytest.mark.parametrize("driver", drivers(Over.STREAM))
def test_cut_always_moves_on(driver: Driver[Any]) -> None:
    cut = driver.cut
    assert cut is not None
    frames = [bytes.fromhex(vector["frame"]) for vector in vectors(driver)]

    @EXAMPLES
    @given(noise(frames).filter(bool))
    def run(heard: bytes) -> None:
        match cut(heard):
            case Need(size):
                assert len(heard) < size <= 4096
            case Frame(size) | Skip(size):
                assert 0 < size <= len(heard)

    run()


@pytest.mark.parametrize("driver", drivers(Over.STREAM))
def test_frame_gives_samples_or_a_fault(driver: Driver[Any]) -> None:
    variants = [vector.get("settings", {}) for vector in vectors(driver)]
    devices = [driver.open(driver.settings.model_validate(variant)) for variant in variants]
    frames = [bytes.fromhex(vector["frame"]) for vector in vectors(driver)]

    @EXAMPLES
    @given(noise(frames), st.sampled_from(devices))
    def run(frame: bytes, device: Talker) -> None:
        with suppress(Fault):
            check(device.decode(frame), device.channels)

    run()


@pytest.mark.parametrize("driver", drivers(Over.REGISTERS))
def test_answer_gives_samples_or_a_fault(driver: Driver[Any]) -> None:
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

    run()


@pytest.mark.parametrize("driver", drivers(Over.REGISTERS))
def test_response_gives_words_or_a_fault(driver: Driver[Any]) -> None:
    requests = [read_request(bytes.fromhex(vector["request"])) for vector in vectors(driver)]
    responses = [bytes.fromhex(vector["response"]) for vector in vectors(driver)]

    @EXAMPLES
    @given(st.sampled_from(requests), noise(responses))
    def run(question: Read, response: bytes) -> None:
        with suppress(Fault):
            assert parse(question, response) in response

    run()


def test_every_shape_in_use_is_fuzzed() -> None:
    fuzzed = {Over.STREAM, Over.REGISTERS}
    used = {cast("Driver[Any]", entry.driver).over for entry in registry.entries()}
    assert used <= fuzzed, f"add a fuzz test for drivers over {', '.join(used - fuzzed)}"
