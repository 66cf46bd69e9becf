"""What the park's BLE sensors broadcast: BTHome v2, pvvx and Ruuvi, made from values.

The formats are those that the drivers' modules describe, with their sources; here they are written, not read.
"""

import struct
from collections.abc import Mapping

from edge_agent.driver import service

BTHOME, PVVX, RUUVI = service(0xFCD2), service(0x181A), 0x0499
_PLAIN, _SEALED, _WHEN_SOMETHING_HAPPENS = 0x40, 0x41, 0x44
_BATTERY_MV, _BATTERY = 2950, 87


def climate_objects(number: int, values: Mapping[str, float]) -> bytes:
    """Return BTHome's objects of a room sensor; ``number`` is that of the packet."""
    temperature, humidity = round(values["temperature"] * 100), round(values["humidity"] * 100)
    return struct.pack("<BBBBBhBH", 0x00, number & 0xFF, 0x01, _BATTERY, 0x02, temperature, 0x03, humidity)


def motion_objects(number: int, *, motion: bool) -> bytes:
    """Return BTHome's objects of a motion sensor."""
    return struct.pack("<BBBBBB", 0x00, number & 0xFF, 0x01, _BATTERY, 0x21, motion)


def bthome(objects: bytes, *, on_event: bool = False) -> dict[str, bytes]:
    """Return the service data of a device that does not encrypt."""
    return {BTHOME: bytes([_WHEN_SOMETHING_HAPPENS if on_event else _PLAIN]) + objects}


def sealed_bthome(objects: bytes, address: str, key: bytes, counter: int) -> dict[str, bytes]:
    """Return the service data of a device that encrypts. Needs cryptography."""
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM  # noqa: PLC0415 - it need not be there

    count = counter.to_bytes(4, "little")
    nonce = bytes.fromhex(address.replace(":", "")) + b"\xd2\xfc" + bytes([_SEALED]) + count
    sealed = AESCCM(key, tag_length=4).encrypt(nonce, objects, None)
    return {BTHOME: bytes([_SEALED]) + sealed[:-4] + count + sealed[-4:]}


def pvvx(address: str, number: int, values: Mapping[str, float]) -> dict[str, bytes]:
    """Return the service data of a thermometer with pvvx's firmware."""
    temperature, humidity = round(values["temperature"] * 100), round(values["humidity"] * 100)
    told = struct.pack("<hHHBBB", temperature, humidity, _BATTERY_MV, _BATTERY, number & 0xFF, 0)
    return {PVVX: bytes.fromhex(address.replace(":", ""))[::-1] + told}


def ruuvi(address: str, number: int, values: Mapping[str, float]) -> dict[int, bytes]:
    """Return the manufacturer data of a RuuviTag that lies still, in data format 5."""
    told = struct.pack(
        ">BhHHhhhHBH",
        5,
        round(values["temperature"] / 0.005),
        round(values["humidity"] / 0.0025),
        round(values["pressure"] * 100) - 50_000,
        *(0, 0, 1000),
        (_BATTERY_MV - 1600) << 5 | 22,  # at 4 dBm
        0,
        number % 0xFFFF,
    )
    return {RUUVI: told + bytes.fromhex(address.replace(":", ""))}
