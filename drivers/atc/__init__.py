"""Xiaomi LYWSD03MMC and its like with the open firmware of atc1441 or pvvx.

Service data under 0x181A (pvvx/ATC_MiThermometer, README, "Advertising formats"), told apart by length:

    15 bytes, pvvx custom, little-endian
        address | t i16 0.01 Cel | h u16 0.01 % | mV u16 | battery u8 | counter u8 | flags u8
    13 bytes, atc1441, big-endian
        address | t i16 0.1 Cel | h u8 % | battery u8 | mV u16 | counter u8
    11 bytes, pvvx encrypted
        counter u8 | sealed: t i16, h u16, battery u8, trigger u8 | check, 4 bytes
    8 bytes, atc1441 encrypted
        counter u8 | sealed: t u8 0.5 Cel from -40, h u8 0.5 %, battery u8 | check, 4 bytes

Sealed: AES-128-CCM, additional data 11; nonce: address reversed, length of the advertisement's element,
16 1A 18, counter. 0x181A is also the Environmental Sensing service, whose service data would be
something else.
"""

import struct
from collections.abc import Sequence

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

_SERVICE = service(0x181A)
_PVVX, _ATC = struct.Struct("<6shHHBBB"), struct.Struct(">6shBBHB")
_SEALED_PVVX, _SEALED_ATC = struct.Struct("<hHBB"), struct.Struct("BBB")


class AtcSettings(BeaconSettings):
    """The device, and its key."""

    bindkey: BindKey | None = Field(None, description="Its key, if it encrypts: a secret of 32 hex digits.")


class Atc:
    """A thermometer and hygrometer."""

    channels: Sequence[Channel] = (
        Channel("temperature", Quantity.TEMPERATURE, "Temperature"),
        Channel("humidity", Quantity.HUMIDITY, "Relative humidity"),
        Channel("battery", Quantity.BATTERY, "Battery"),
        Channel("battery_voltage", Quantity.BATTERY_VOLTAGE, "Battery voltage", optional=True),
        Channel("packet_counter", Quantity.COUNT, "Counter of packets, 0 to 255", optional=True),
        Channel("flags", Quantity.EVENT, "Flags of the reed contact and the trigger output", optional=True),
    )

    def __init__(self, settings: AtcSettings) -> None:
        self._unseal = unsealing(settings.bindkey)

    def decode(self, frame: Advertisement) -> Sequence[Sample]:
        """Turn one advertisement into samples."""
        said = frame.service_data.get(_SERVICE)
        if said is None:
            raise NotMine
        match len(said):
            case _PVVX.size:
                self._check_open(said[:6][::-1], frame.address)
                return _pvvx(said)
            case _ATC.size:
                self._check_open(said[:6], frame.address)
                return _atc(said)
            case 11:
                return _sealed_pvvx(self._opened(frame.address, said))
            case 8:
                return _sealed_atc(self._opened(frame.address, said))
            case size:
                raise Garbled(f"service data 181a of {size} bytes; known are 8, 11, 13 and 15")

    def _check_open(self, address: bytes, sender: str) -> None:
        if self._unseal is not None:
            raise Implausible("it came unencrypted, though a bindkey is set: forged, or a reset device")
        told = address.hex(":").upper()
        if sender and told != sender:
            raise Garbled(f"the address in it is {told}, and {sender} sent it")

    def _opened(self, sender: str, said: bytes) -> bytes:
        if self._unseal is None:
            raise Implausible("it is encrypted; set `bindkey`, which the maker's page shows")
        address = bytes.fromhex(sender.replace(":", ""))[::-1]
        nonce = address + bytes([len(said) + 3]) + b"\x16\x1a\x18" + said[:1]
        return self._unseal(nonce, said[1:], b"\x11")


def _pvvx(said: bytes) -> list[Sample]:
    _, temperature, humidity, millivolts, battery, counter, flags = _PVVX.unpack(said)
    return [
        Sample("temperature", temperature / 100),
        Sample("humidity", humidity / 100),
        Sample("battery", battery),
        Sample("battery_voltage", millivolts / 1000),
        Sample("packet_counter", counter),
        Sample("flags", flags),
    ]


def _atc(said: bytes) -> list[Sample]:
    _, temperature, humidity, battery, millivolts, counter = _ATC.unpack(said)
    return [
        Sample("temperature", temperature / 10),
        Sample("humidity", humidity),
        Sample("battery", battery),
        Sample("battery_voltage", millivolts / 1000),
        Sample("packet_counter", counter),
    ]


def _sealed_pvvx(plain: bytes) -> list[Sample]:
    temperature, humidity, battery, _ = _SEALED_PVVX.unpack(plain)
    return [
        Sample("temperature", temperature / 100),
        Sample("humidity", humidity / 100),
        Sample("battery", battery & 0x7F),
    ]


def _sealed_atc(plain: bytes) -> list[Sample]:
    temperature, humidity, battery = _SEALED_ATC.unpack(plain)
    return [
        Sample("temperature", temperature / 2 - 40),
        Sample("humidity", humidity / 2),
        Sample("battery", battery & 0x7F),
    ]


driver = Driver(
    title="Xiaomi hygrometer with atc1441 or pvvx firmware",
    home=__name__,
    over=Over.ADVERTISEMENTS,
    settings=AtcSettings,
    open=Atc,
    broadcast=Broadcast(services=(_SERVICE,)),
)
