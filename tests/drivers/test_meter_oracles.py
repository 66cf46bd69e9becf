"""pysml and pyMeterBus read the same in recorded telegrams; damage behind a right checksum does no harm."""

import tomllib
from contextlib import suppress
from decimal import Decimal
from typing import Any

import meterbus
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sml import SmlBase

from drivers.sml.transport import x25
from edge_agent import registry
from edge_agent.bus.framing import Framer
from edge_agent.driver import Fault, obis

Vector = dict[str, Any]


def good(name: str) -> list[Vector]:
    listed = tomllib.loads(registry.resource(registry.load(name), "vectors.toml"))["vector"]
    return [vector for vector in listed if vector.get("expect")]


def decoded(name: str, vector: Vector) -> dict[str, Any]:
    record = registry.load(name)
    device: Any = record.open(record.settings.model_validate(vector.get("settings", {})))
    if "frame" in vector:
        return dict(device.decode(bytes.fromhex(vector["frame"])))
    return dict(device.decode(bytes.fromhex(vector["response"]), bytes.fromhex(vector["request"])))


def named(vectors: list[Vector]) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


X25 = [vector for vector in good("sml") if not vector.get("settings", {}).get("kermit_checksum")]


@pytest.mark.parametrize("vector", named(X25))
def test_pysml_reads_the_same(vector: Vector) -> None:
    _, frame = SmlBase.parse_frame(bytes.fromhex(vector["frame"]))
    entries = [
        entry for message in frame for entry in message["messageBody"].get("valList", []) if "value" in entry
    ]
    told = {
        obis.reduced(entry["objName"]): obis.Told(Decimal(str(entry["value"])), entry["unit"])
        for entry in entries
        if isinstance(entry["value"], int | float) and entry.get("unit") in {"Wh", "W", "V", "A", "Hz"}
    }
    own = vector.get("settings", {}).get("obis", {})
    expected = obis.values(told, obis.meanings(own))
    if "as it was sent" in vector["name"]:
        expected["power"] = -299.12  # pysml always mends it
    assert decoded("sml", vector) == expected


# pyMeterBus leaves out the factor of a VIFE behind table FD, and the digits of numbers of variable length.
BEYOND_IT = ("forward and backward energy", "negative digits")
READ_BY_BOTH = [vector for vector in good("mbus") if not vector["name"].startswith(BEYOND_IT)]
UNITS = {"MeasureUnit.WH": Decimal("0.001"), "MeasureUnit.J": 1 / Decimal(3_600_000)}


@pytest.mark.parametrize("vector", named(READ_BY_BOTH))
def test_pymeterbus_reads_the_same(vector: Vector) -> None:
    read = meterbus.load(bytes.fromhex(vector["response"])).records
    known = [
        Decimal(record.interpreted["value"]) * UNITS.get(record.interpreted["unit"], Decimal(1))
        for record in read
        if isinstance(record.interpreted["value"], int | float | Decimal)
    ]
    for channel, value in decoded("mbus", vector).items():
        if value is not None:
            assert any(float(other) == pytest.approx(value) for other in known), f"{channel} {value}: {known}"


def hurt(inside: bytes) -> st.SearchStrategy[bytes]:
    """Bytes with up to four of them changed, taken out or doubled."""
    change = st.tuples(
        st.integers(0, len(inside) - 1), st.integers(0, 255), st.sampled_from(["set", "cut", "add"])
    )

    def changed(changes: list[tuple[int, int, str]]) -> bytes:
        told = bytearray(inside)
        for at, byte, how in changes:
            told[at : at + (how != "add")] = b"" if how == "cut" else bytes([byte])
        return bytes(told)

    return st.lists(change, max_size=4).map(changed)


@pytest.mark.parametrize("vector", named(X25))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_sml_behind_a_right_checksum(vector: Vector, data: st.DataObject) -> None:
    telegram = bytes.fromhex(vector["frame"])
    body = telegram[:8] + data.draw(hurt(telegram[8:-8])) + telegram[-8:-2]
    broken = body + x25(body)
    with suppress(Fault):
        decoded("sml", vector | {"frame": broken.hex()})
    cut = registry.load("sml").cut
    assert cut is not None
    assert Framer(cut).feed(broken + telegram * 2)[-1] == telegram


@pytest.mark.parametrize("vector", named(good("mbus")))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_mbus_behind_a_right_checksum(vector: Vector, data: st.DataObject) -> None:
    answer = bytes.fromhex(vector["response"])
    inside = answer[4:7] + data.draw(hurt(answer[7:-2]))
    sealed = bytes([0x68, len(inside), len(inside), 0x68]) + inside + bytes([sum(inside) & 0xFF, 0x16])
    with suppress(Fault):
        decoded("mbus", vector | {"response": sealed.hex()})
