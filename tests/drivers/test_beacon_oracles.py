"""Our decoders of advertisements against other people's, on seeded random frames.

The libraries keep what a device said before: each frame is given to a new parser. Where they differ on
purpose the difference is named here with its reason.
"""

import random
import struct
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, cast

import pytest
from bleak.backends.device import BLEDevice
from bthome_ble import BTHomeBluetoothDeviceData
from bthome_ble.const import MEAS_TYPES
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from govee_ble import GoveeBluetoothDeviceData
from habluetooth import BluetoothServiceInfoBleak
from ruuvitag_ble import RuuvitagBluetoothDeviceData
from xiaomi_ble.parser import XiaomiBluetoothDeviceData

from drivers.bthome.objects import NO_MEASUREMENT, OBJECTS, WITH_LENGTH
from edge_agent import registry
from edge_agent.driver import Advertisement, Beacon, Fault, service

MAC = "A4:C1:38:8D:18:B2"
ADDRESS = bytes.fromhex(MAC.replace(":", ""))
KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
_DICE = random.Random(645)
_SECONDS = count(1000.0, 60.0)


def info(advert: Advertisement) -> BluetoothServiceInfoBleak:
    return BluetoothServiceInfoBleak(
        name=advert.name,
        address=advert.address,
        rssi=-60,
        manufacturer_data=dict(advert.manufacturer_data),
        service_data=dict(advert.service_data),
        service_uuids=[],
        source="",
        device=BLEDevice(advert.address, advert.name, None),
        advertisement=None,
        connectable=False,
        time=next(_SECONDS),
        tx_power=None,
    )


def theirs(parser: Any, advert: Advertisement) -> dict[str, Any]:
    """Return what a library says, by its own names; only measurements."""
    told = parser.update(info(advert))
    found = {key.key: value.native_value for key, value in told.entity_values.items()}
    found |= {key.key: value.native_value for key, value in told.binary_entity_values.items()}
    found.pop("signal_strength", None)
    return found


def ours(driver: str, advert: Advertisement, **settings: Any) -> dict[str, Any]:
    """Return what we say, None being left out; nothing where it is a fault."""
    record = registry.load(driver)
    device = cast("Beacon", record.open(record.settings.model_validate({"address": MAC} | settings)))
    try:
        return {name: value for name, value in device.decode(advert) if value is not None}
    except Fault:
        return {}


def told(name: str = "", services: dict[int, bytes] | None = None, makers: Any = None) -> Advertisement:
    return Advertisement(
        MAC, name, -60, {service(short): data for short, data in (services or {}).items()}, makers or {}
    )


def close(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return bool(one) == bool(other)
    return bool(one == pytest.approx(other, abs=0.006))


# Where our unit is another one: what turns theirs into ours, and what ours is called.
_BTHOME: dict[int, tuple[str, float]] = {
    0x07: ("mass", 0.45359237),  # lb -> kg
    0x40: ("distance", 0.001),  # mm -> m
    0x47: ("volume", 0.001),  # L -> m3
    0x48: ("volume", 0.000_001),  # mL -> m3
    0x4E: ("volume", 0.001),
    0x4F: ("water", 0.001),
    0x55: ("volume_storage", 0.001),
    0x61: ("rotational_speed", 6),  # turns a minute -> degrees a second
}
_EVENTS = {0x3A, 0x3C}  # theirs are words ("press"), ours the code; the vectors hold those


@pytest.mark.parametrize("id_", sorted(OBJECTS), ids=hex)
def test_bthome_objects(id_: int) -> None:
    known = OBJECTS[id_]
    assert MEAS_TYPES[id_].data_length == known.size
    for _ in range(20 if id_ not in _EVENTS else 0):
        raw = bytes(_DICE.randrange(256) for _ in range(known.size))
        if known.factor is None:
            raw = bytes([_DICE.randrange(2)])
        advert = told(services={0xFCD2: b"\x40" + bytes([id_]) + raw})
        (expected,) = theirs(BTHomeBluetoothDeviceData(), advert).values()
        name, factor = _BTHOME.get(id_, (known.name, 1))
        found = ours("bthome", advert)[name]
        if isinstance(found, bool):
            assert found == expected
        else:
            rounded = 0.06 if id_ == 0x58 else 0.006  # theirs keeps one decimal of 0.35 degrees
            assert found == pytest.approx(expected * factor, abs=rounded * factor)


def test_bthome_knows_every_id_that_measures() -> None:
    assert set(MEAS_TYPES) - set(OBJECTS) == NO_MEASUREMENT.keys() | WITH_LENGTH | {0x3B}  # 0x3B: a command
    assert all(MEAS_TYPES[id_].data_length == size for id_, size in NO_MEASUREMENT.items())


def test_bthome_encrypted() -> None:
    for counter in range(200, 260):
        plain = struct.pack("<BhBH", 2, _DICE.randrange(-4000, 8000), 3, _DICE.randrange(10_001))
        counted = struct.pack("<I", counter)
        sealed = AESCCM(KEY, tag_length=4).encrypt(ADDRESS + b"\xd2\xfc\x41" + counted, plain, None)
        advert = told(services={0xFCD2: b"\x41" + sealed[:-4] + counted + sealed[-4:]})
        expected = theirs(BTHomeBluetoothDeviceData(bindkey=KEY), advert)
        assert len(expected) == 2
        found = ours("bthome", advert, bindkey=KEY.hex())
        assert all(close(found[name], value) for name, value in expected.items())


def _ruuvi() -> Iterator[bytes]:
    for _ in range(200):
        yield b"\x05" + bytes(_DICE.randrange(256) for _ in range(23))


def test_ruuvi() -> None:
    """Differs: 255 movements mean "not known", which only we say. Theirs are Pa and mG, rounded otherwise."""
    names = {"temperature": 1.0, "humidity": 1.0, "pressure": 1.0, "movement_counter": 1.0}
    compared = 0
    for said in _ruuvi():
        advert = told(makers={0x0499: said})
        expected = theirs(RuuvitagBluetoothDeviceData(), advert)
        found = ours("ruuvi", advert)
        for name in names.keys() & expected.keys() & found.keys():
            assert close(found[name], expected[name]), (name, said.hex())
            compared += 1
    assert compared > 600


def _h5075() -> Iterator[tuple[int, str, bytes]]:
    for _ in range(100):
        packed = _DICE.randrange(1000) * 1000 + _DICE.randrange(1000) | _DICE.choice([0, 0x80_0000])
        battery = _DICE.randrange(101)
        number = packed.to_bytes(3)
        yield 0xEC88, "GVH5075_1234", b"\x00" + number + bytes([battery, 0])
        yield 0x0001, "GVH5100_1234", b"\x01\x01" + number + bytes([battery])
        plain = struct.pack("<hHB", _DICE.randrange(-4000, 8000), _DICE.randrange(10_001), battery)
        yield 0xEC88, "Govee_H5074_1234", b"\x00" + plain + b"\x02"
        yield 0x8801, "Govee_H5179_1234", b"\xec\x00\x01\x01" + plain


def test_govee() -> None:
    """Differs: theirs drops temperatures outside of -40 to 100, ours leaves that to the plausible bounds."""
    compared = 0
    for company, name, said in _h5075():
        advert = told(name, makers={company: said})
        expected = theirs(GoveeBluetoothDeviceData(), advert)
        found = ours("govee", advert)
        for key in ("temperature", "humidity", "battery"):
            if isinstance(expected.get(key), int | float):
                assert close(found[key], expected[key]), (key, said.hex())
                compared += 1
    assert compared > 1000


_XIAOMI: dict[tuple[int, int], Callable[[], bytes]] = {
    (0x1004, 0x0387): lambda: struct.pack("<h", _DICE.randrange(-400, 1000)),
    (0x1006, 0x0B48): lambda: struct.pack("<H", _DICE.randrange(1001)),
    (0x100A, 0x0387): lambda: bytes([_DICE.randrange(101)]),
    (0x100D, 0x0387): lambda: struct.pack("<hH", _DICE.randrange(-400, 1000), _DICE.randrange(1001)),
    (0x1008, 0x0098): lambda: bytes([_DICE.randrange(101)]),
    (0x1009, 0x0098): lambda: struct.pack("<H", _DICE.randrange(5000)),
    (0x1007, 0x0098): lambda: _DICE.randrange(1 << 24).to_bytes(3, "little"),
    (0x1017, 0x07F6): lambda: struct.pack("<I", _DICE.choice([0, 3, 30, 31, 60, 1800])),
    (0x1018, 0x098B): lambda: bytes([_DICE.randrange(2)]),
    (0x1019, 0x098B): lambda: bytes([_DICE.randrange(3)]),
    (0x000F, 0x0A8D): lambda: _DICE.choice([0, 256]).to_bytes(3, "little"),
    (0x4C01, 0x2832): lambda: struct.pack("<f", _DICE.randrange(-400, 1000) / 10),
    (0x4C02, 0x2832): lambda: bytes([_DICE.randrange(101)]),
}


@pytest.mark.parametrize(("type_", "product"), list(_XIAOMI), ids=lambda number: f"{number:04x}")
def test_mibeacon(type_: int, product: int) -> None:
    """Differs: theirs makes a voltage up from a battery's percentage, and cuts the decimal off the humidity
    of LYWSD03MMC and MHO-C401, whose steps are of 1 % (its words); ours reports what was sent.
    """
    for counter in range(20):
        value = _XIAOMI[type_, product]()
        body = struct.pack("<HB", type_, len(value)) + value
        more = struct.pack("<I", counter + 1)[:3]
        head = struct.pack("<HHB", 0x5858, product, counter)
        nonce = ADDRESS[::-1] + head[2:] + more
        sealed = AESCCM(KEY, tag_length=4).encrypt(nonce, body, b"\x11")
        said = head + ADDRESS[::-1] + sealed[:-4] + more + sealed[-4:]
        advert = told(services={0xFE95: said})
        parser = XiaomiBluetoothDeviceData(bindkey=KEY)
        expected = theirs(parser, advert)
        expected.pop("voltage", None)
        expected.pop("door_left_open", None)
        assert expected, "the library knows this object of this product"
        found = ours("mibeacon", advert, bindkey=KEY.hex())
        assert found.keys() == expected.keys()
        assert all(close(found[name], expected[name]) for name in expected), (found, expected)
