"""Xiaomi sensors as they come from the factory: MiBeacon, versions 4 and 5, mostly encrypted.

Service data under 0xFE95 (Xiaomi IoT developer platform, "MiBeacon protocol"; objects checked against
xiaomi-ble 1.21.2), little-endian:

    control u16 | product u16 | counter u8 | [address reversed] | [capability, [2 bytes]] | objects

- control: bit 3 encrypted, 4 the address follows, 5 the capability follows (bit 5 in it: two bytes more),
  6 objects follow, bits 12 to 15 the version.
- objects: type u16, length u8, value, one or more.
- encrypted: the objects are ciphertext, then 3 more bytes of counter and a check of 4. AES-128-CCM,
  additional data 11; nonce: address reversed, product, counter, the 3 more bytes.
"""

import math
import struct
from collections.abc import Callable, Iterator, Sequence

from pydantic import Field

from edge_agent.driver import (
    Advertisement,
    BeaconSettings,
    BindKey,
    Broadcast,
    Channel,
    Driver,
    Garbled,
    Implausible,
    NotMine,
    Over,
    Quantity,
    Sample,
    service,
    unsealing,
)

_SERVICE = service(0xFE95)
_HEAD = struct.Struct("<HHB")
_ENCRYPTED, _WITH_ADDRESS, _WITH_CAPABILITY, _WITH_OBJECTS = 0x08, 0x10, 0x20, 0x40
_MORE_CAPABILITY = 0x20
_FIRST_VERSION = 4
_ADDRESS, _COUNTER, _CHECK = 6, 3, 4
_OBJECT = struct.Struct("<HB")
_IDLE_IS_MOTION_S = 30  # so long after a motion the maker's app still shows it
_LIGHT_FROM = 100  # a motion's number, where it tells light from dark
_LUX_PRODUCTS = {0x0A83}  # CGPR1: a motion's number is in lux


class MiBeaconSettings(BeaconSettings):
    """The device, and its key."""

    bindkey: BindKey | None = Field(
        None, description="Its key, from the maker's cloud: a secret of 32 hex digits."
    )


def _number(value: bytes) -> int:
    return int.from_bytes(value, "little")


def _signed(value: bytes) -> int:
    return int.from_bytes(value, "little", signed=True)


def _real(value: bytes) -> float | None:
    number = float(struct.unpack("<f", value)[0])
    return round(number, 2) if math.isfinite(number) else None


def _open(told: dict[int, bool]) -> Callable[[bytes], list[Sample]]:
    return lambda value: [Sample("opening", told[value[0]])] if value[0] in told else []


_OBJECTS: dict[tuple[int, int], Callable[[bytes], list[Sample]]] = {
    (0x0003, 1): lambda _: [Sample("motion", True)],
    (0x1004, 2): lambda value: [Sample("temperature", _signed(value) / 10)],
    (0x1006, 2): lambda value: [Sample("humidity", _number(value) / 10)],
    (0x1007, 3): lambda value: [Sample("illuminance", _number(value))],
    (0x1008, 1): lambda value: [Sample("moisture", value[0])],
    (0x1009, 2): lambda value: [Sample("conductivity", _number(value))],
    (0x100A, 1): lambda value: [Sample("battery", value[0])],
    (0x100D, 4): lambda value: [
        Sample("temperature", _signed(value[:2]) / 10),
        Sample("humidity", _number(value[2:]) / 10),
    ],
    (0x1014, 1): lambda value: [Sample("wet", value[0] > 0)],
    (0x1015, 1): lambda value: [Sample("smoke", value[0] > 0)],
    (0x1017, 4): lambda value: [Sample("motion", _number(value) <= _IDLE_IS_MOTION_S)],
    (0x1018, 1): lambda value: [Sample("light", bool(value[0]))],
    (0x1019, 1): _open({0: True, 1: False, 2: True}),
    (0x4801, 4): lambda value: [Sample("temperature", _real(value))],
    (0x4802, 1): lambda value: [Sample("humidity", value[0])],
    (0x4803, 1): lambda value: [Sample("battery", value[0])],
    (0x4804, 1): _open({1: True, 2: False}),
    (0x4805, 4): lambda value: [Sample("illuminance", _real(value))],
    (0x4806, 1): lambda value: [Sample("wet", value[0] > 0)],
    (0x4808, 4): lambda value: [Sample("humidity", _real(value))],
    (0x4818, 2): lambda value: [Sample("motion", _number(value) <= _IDLE_IS_MOTION_S)],
    (0x484E, 1): lambda value: [Sample("occupancy", value[0] == 1)],
    (0x4A01, 1): lambda value: [Sample("battery_low", bool(value[0]))],
    (0x4A08, 4): lambda value: [Sample("motion", True), Sample("illuminance", _real(value))],
    (0x4A12, 1): _open({1: True, 2: False}),
    (0x4C01, 4): lambda value: [Sample("temperature", _real(value))],
    (0x4C02, 1): lambda value: [Sample("humidity", value[0])],
    (0x4C03, 1): lambda value: [Sample("battery", value[0])],
    (0x4C08, 4): lambda value: [Sample("humidity", _real(value))],
    (0x4E01, 1): lambda value: [Sample("battery_low", bool(value[0]))],
}
"""By type and length. 0x000F is not here: what its number means depends on the product."""

_MOTION_WITH_LIGHT = (0x000F, 3)


class MiBeacon:
    """One device. Most of its advertisements have one value each; a repeated counter says nothing new."""

    channels: Sequence[Channel] = (
        Channel("temperature", Quantity.TEMPERATURE, "Temperature", optional=True),
        Channel("humidity", Quantity.HUMIDITY, "Relative humidity", optional=True),
        Channel("battery", Quantity.BATTERY, "Battery", optional=True),
        Channel("battery_low", Quantity.FLAG, "Battery is low", optional=True),
        Channel("illuminance", Quantity.ILLUMINANCE, "Illuminance", optional=True),
        Channel("light", Quantity.FLAG, "It is light", optional=True),
        Channel("motion", Quantity.MOTION, "Motion", optional=True, momentary=True),
        Channel("occupancy", Quantity.OCCUPANCY, "Occupied", optional=True),
        Channel("opening", Quantity.CONTACT, "Door or window open", optional=True),
        Channel("moisture", Quantity.MOISTURE, "Moisture of the soil", optional=True),
        Channel("conductivity", Quantity.CONDUCTIVITY, "Conductivity of the soil", optional=True),
        Channel("wet", Quantity.FLAG, "Water", optional=True),
        Channel("smoke", Quantity.FLAG, "Smoke", optional=True),
    )

    def __init__(self, settings: MiBeaconSettings) -> None:
        self._unseal = unsealing(settings.bindkey)
        self._last = b""

    def decode(self, frame: Advertisement) -> Sequence[Sample]:
        """Turn one advertisement into samples."""
        said = frame.service_data.get(_SERVICE)
        if said is None:
            raise NotMine
        if len(said) < _HEAD.size:
            raise Garbled(f"{len(said)} bytes, expected at least {_HEAD.size}")
        control, product, _ = _HEAD.unpack_from(said)
        if not control & _WITH_OBJECTS:
            raise NotMine("no measurement")
        if control >> 12 < _FIRST_VERSION and control & _ENCRYPTED:
            raise Implausible(
                f"encrypted as in version {control >> 12}, which proves nothing; known are 4 and 5"
            )
        address, at = _address(said, control, frame.address)
        body = said[at:]
        if control & _ENCRYPTED:
            body = self._opened(address, said[2:5], body)
        elif self._unseal is not None:
            raise Implausible("it came unencrypted, though a bindkey is set: forged, or a reset device")
        if said == self._last:
            raise NotMine("said before")
        self._last = said
        found = {sample.channel: sample for sample in _samples(product, body)}
        if not found:
            raise NotMine("no measurement that is known")
        return list(found.values())

    def _opened(self, address: bytes, head: bytes, body: bytes) -> bytes:
        if self._unseal is None:
            raise Implausible("it is encrypted; set `bindkey`, which the maker's cloud has")
        if len(body) < _COUNTER + _CHECK:
            raise Garbled(f"encrypted, with {len(body)} bytes")
        sealed, counter, check = body[:-7], body[-7:-4], body[-4:]
        return self._unseal(address + head + counter, sealed + check, b"\x11")


def _address(said: bytes, control: int, sender: str) -> tuple[bytes, int]:
    """Return the device's address as the nonce has it, and where the objects begin."""
    at = _HEAD.size
    address = bytes.fromhex(sender.replace(":", ""))[::-1]
    if control & _WITH_ADDRESS:
        address = said[at : at + _ADDRESS]
        at += _ADDRESS
    if control & _WITH_CAPABILITY:
        more = 2 if said[at : at + 1] and said[at] & _MORE_CAPABILITY else 0
        at += 1 + more
    return address, at


def _samples(product: int, body: bytes) -> Iterator[Sample]:
    at = 0
    while at + _OBJECT.size <= len(body):
        type_, size = _OBJECT.unpack_from(body, at)
        value = body[at + _OBJECT.size : at + _OBJECT.size + size]
        if len(value) < size:
            raise Garbled(f"object {type_:04x} has {len(value)} bytes, expected {size}")
        at += _OBJECT.size + size
        if (type_, size) == _MOTION_WITH_LIGHT:
            yield Sample("motion", True)
            lux = product in _LUX_PRODUCTS
            yield (
                Sample("illuminance", _number(value))
                if lux
                else Sample("light", _number(value) >= _LIGHT_FROM)
            )
        elif (type_, size) in _OBJECTS:
            yield from _OBJECTS[type_, size](value)


driver = Driver(
    title="Xiaomi MiBeacon sensor",
    home=__name__,
    over=Over.ADVERTISEMENTS,
    settings=MiBeaconSettings,
    open=MiBeacon,
    broadcast=Broadcast(services=(_SERVICE,)),
)
