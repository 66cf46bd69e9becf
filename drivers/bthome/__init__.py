"""BTHome v2: sensors and meters that broadcast in the open format of bthome.io.

Service data under 0xFCD2 (bthome.io/format and bthome.io/encryption, both version 2):

    information | [address, 6 bytes, if bit 1] | objects: id, value (little-endian) ...

- information: bit 0 encrypted, bit 1 the address follows, bit 2 sent when something happens and not in
  between, bits 5 to 7 the version, 2.
- encrypted: the objects are ciphertext, then a counter of 4 bytes and a check of 4 bytes. AES-128-CCM without
  additional data; nonce: address, D2 FC, information, counter.
- an id that is not known ends the reading: its length cannot be told.
"""

import difflib
from collections.abc import Iterator, Sequence

from pydantic import Field

from drivers.bthome.objects import NO_MEASUREMENT, OBJECTS, WITH_LENGTH
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

_SERVICE = service(0xFCD2)
_ENCRYPTED, _WITH_ADDRESS, _VERSION = 0x01, 0x02, 2
_ADDRESS, _COUNTER, _CHECK = 6, 4, 4
_PACKET_ID = 0x00
_RESTARTED = 100  # a counter below it is that of a device with a new battery
_ALIKE = 8  # sensors of one kind in a device, at most: temperature, temperature_2 and so on
_MOMENTARY = {Quantity.MOTION}
_OFTEN_ALIKE = {"temperature", "humidity", "voltage", "current", "power", "energy", "count", "button"}

_KINDS = {known.name: known.quantity for known in OBJECTS.values()}
_CHANNELS = {
    (name if number == 1 else f"{name}_{number}"): quantity
    for name, quantity in _KINDS.items()
    for number in range(1, _ALIKE + 1)
}
_USUAL = (*_KINDS, *(f"{name}_2" for name in _KINDS if name in _OFTEN_ALIKE))


class BTHomeSettings(BeaconSettings):
    """The device, its key, and what it reports."""

    bindkey: BindKey | None = Field(None, description="Its key, if it encrypts: a secret of 32 hex digits.")
    reports: tuple[str, ...] = Field(
        (), description="The channels it has, as a scan shows them. Empty: the usual ones, some 70."
    )


class BTHome:
    """One device. It remembers the last packet id and counter: a repeated packet says nothing new."""

    def __init__(self, settings: BTHomeSettings) -> None:
        unknown = [name for name in settings.reports if name not in _CHANNELS]
        if unknown:
            near = difflib.get_close_matches(unknown[0], _CHANNELS, n=2) or _KINDS
            raise ValueError(f"{unknown[0]!r} is no channel of BTHome; there are {', '.join(near)}")
        self._wanted = dict.fromkeys(settings.reports or _USUAL)
        self.channels: Sequence[Channel] = tuple(
            Channel(
                name, kind, name.replace("_", " ").capitalize(), optional=True, momentary=kind in _MOMENTARY
            )
            for name, kind in ((name, _CHANNELS[name]) for name in self._wanted)
        )
        self._unseal = unsealing(settings.bindkey)
        self._packet_id = -1
        self._counter = -1

    def decode(self, frame: Advertisement) -> Sequence[Sample]:
        """Turn one advertisement into samples."""
        said = frame.service_data.get(_SERVICE)
        if said is None:
            raise NotMine
        if not said or said[0] >> 5 != _VERSION:
            raise Garbled(f"BTHome of version {said[0] >> 5 if said else 'none'}, known is 2")
        found = list(_objects(self._plain(frame.address, said)))
        self._look_at_packet_id(found)
        samples, alike = [], dict[str, int]()
        for id_, raw in found:
            known = OBJECTS[id_]
            number = alike[known.name] = alike.get(known.name, 0) + 1
            name = known.name if number == 1 else f"{known.name}_{number}"
            if name in self._wanted:
                samples.append(Sample(name, _value(id_, raw)))
        if not found:
            raise NotMine("no measurement that is known")
        if not samples:
            there = ", ".join(dict.fromkeys(OBJECTS[id_].name for id_, _ in found))
            raise Implausible(f"it reports {there}, none of which is in `reports`; add them there")
        return samples

    def _plain(self, address: str, said: bytes) -> bytes:
        """Return the objects' bytes, decrypted if need be."""
        information, body = said[0], said[1:]
        if information & _WITH_ADDRESS:
            address, body = body[:_ADDRESS][::-1].hex(), body[_ADDRESS:]
        if not information & _ENCRYPTED:
            if self._unseal is not None:
                raise Implausible("it came unencrypted, though a bindkey is set: forged, or a reset device")
            return body
        if self._unseal is None:
            raise Implausible("it is encrypted; set `bindkey`, which the maker's app shows")
        if len(body) < _COUNTER + _CHECK:
            raise Garbled(f"encrypted, with {len(body)} bytes")
        sealed, counter, check = body[:-8], body[-8:-4], body[-4:]
        nonce = bytes.fromhex(address.replace(":", "")) + b"\xd2\xfc" + said[:1] + counter
        plain = self._unseal(nonce, sealed + check, b"")
        self._look_at_counter(int.from_bytes(counter, "little"))
        return plain

    def _look_at_counter(self, counter: int) -> None:
        if counter == self._counter:
            raise NotMine("said before")
        if _RESTARTED <= counter < self._counter:
            raise Implausible(
                f"its counter went back from {self._counter} to {counter}: an old packet, replayed"
            )
        self._counter = counter

    def _look_at_packet_id(self, found: Sequence[tuple[int, bytes]]) -> None:
        for id_, raw in found:
            if id_ == _PACKET_ID:
                if raw[0] == self._packet_id:
                    raise NotMine("said before")
                self._packet_id = raw[0]


def _objects(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        id_, at = body[at], at + 1
        known = OBJECTS.get(id_)
        if known is not None:
            size = known.size
        elif id_ in WITH_LENGTH and at < len(body):
            size = 1 + body[at]
        elif id_ in NO_MEASUREMENT:
            size = NO_MEASUREMENT[id_]
        else:
            return
        if at + size > len(body):
            raise Garbled(f"object {id_:02x} at {at - 1} has {len(body) - at} bytes, expected {size}")
        if known is not None:
            yield id_, body[at : at + size]
        at += size


def _value(id_: int, raw: bytes) -> float | int | bool:
    _, _, _, factor, signed = OBJECTS[id_]
    number = int.from_bytes(raw, "little", signed=signed)
    if factor is None:
        return bool(number)
    return number if factor == 1 else round(number * factor, 9)


driver = Driver(
    title="BTHome v2 device",
    home=__name__,
    over=Over.ADVERTISEMENTS,
    settings=BTHomeSettings,
    open=BTHome,
    broadcast=Broadcast(services=(_SERVICE,)),
)
