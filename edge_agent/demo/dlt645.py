"""A simulated DL/T 645-2007 meter with the items of a device profile, alone or in the profile's blocks.

It answers reads and the question for its address, to its own address and to one with AA for digits that
are not known. It refuses what it does not have with error word 02, and says nothing to others or to a bad
checksum.
Framing and commands follow DL/T 645-2007, 5.2 and 7.
"""

import tomllib
from collections.abc import Callable, Mapping
from typing import Any

_HEAD, _TAIL = 10, 2  # bytes before and behind the data
_LONGEST = 64  # bytes; a request that is granted has 20 at most
_READ, _READ_ADDRESS = 0x11, 0x13
_ANSWER, _REFUSAL, _NO_SUCH_DATA = 0x80, 0xC0, b"\x02"
_PREAMBLE = b"\xfe\xfe"
_LIFT = 0x33
_ANY = 0xAA


def sealed(address: bytes, control: int, data: bytes) -> bytes:
    """Return a frame; address and data low byte first, the data as it is meant."""
    frame = b"\x68" + address + b"\x68" + bytes([control, len(data)])
    frame += bytes((byte + _LIFT) % 256 for byte in data)
    return frame + bytes([sum(frame) % 256]) + b"\x16"


def _meant(frame: bytes) -> bytes:
    return bytes((byte - _LIFT) % 256 for byte in frame[_HEAD:-_TAIL])


class Meter:
    """One meter on the line. ``values`` gives what it measures right now, by channel name and in its unit."""

    def __init__(self, address: str, profile_toml: str, values: Callable[[], Mapping[str, float]]) -> None:
        self._address = bytes.fromhex(address)[::-1]
        profile = tomllib.loads(profile_toml)
        self._channels = {channel["item"]: channel for channel in profile["channels"]}
        self._blocks: Mapping[str, str] = profile.get("blocks", {})
        self._values = values
        self._heard = b""

    def hear(self, arrived: bytes) -> bytes:
        """Take bytes from the line, and return the answer to a request for this meter that is whole now."""
        self._heard = heard = (self._heard + arrived)[-_LONGEST:]
        start = heard.find(b"\x68")
        while 0 <= start <= len(heard) - _HEAD - _TAIL:
            frame = heard[start : start + _HEAD + heard[start + _HEAD - 1] + _TAIL]
            if frame == sealed(frame[1:7], frame[8], _meant(frame)):
                self._heard = b""
                return self._answer(frame)
            start = heard.find(b"\x68", start + 1)
        return b""

    def _answer(self, frame: bytes) -> bytes:
        asked = frame[1:7]
        if any(digits not in {_ANY, own} for digits, own in zip(asked, self._address, strict=True)):
            return b""
        control, data = frame[8], _meant(frame)
        if control == _READ_ADDRESS:
            return _PREAMBLE + sealed(self._address, control | _ANSWER, self._address)
        found = self._read(data[::-1].hex().upper()) if control == _READ else b""
        if not found:
            return _PREAMBLE + sealed(self._address, control | _REFUSAL, _NO_SUCH_DATA)
        return _PREAMBLE + sealed(self._address, control | _ANSWER, data + found)

    def _read(self, item: str) -> bytes:
        """Return an item's value, or those of a block; nothing for what the meter does not have."""
        items = [item]
        if item in self._blocks:
            # the items of a block differ in the byte that is FF in the block's own identifier
            at, first = item.rindex("FF"), self._blocks[item]
            numbers = range(int(first[at : at + 2], 16), 0xFF)
            items = [f"{item[:at]}{number:02X}{item[at + 2 :]}" for number in numbers]
        values, found = self._values(), b""
        for one in items:
            channel = self._channels.get(one)
            if channel is None or channel["name"] not in values:
                break
            found += _digits(channel, values[channel["name"]])
        return found


def _digits(channel: Mapping[str, Any], value: float) -> bytes:
    """Write a value as the profile says: packed BCD, low byte first, a sign in the top bit."""
    form = channel["digits"]
    places, count = len(form.partition(".")[2]), form.count("X")
    number = round(abs(value) / channel.get("scale", 1) * 10**places) % 10**count
    raw = bytearray(bytes.fromhex(f"{number:0{count}d}")[::-1])
    if value < 0 and channel.get("signed"):
        raw[-1] |= 0x80
    return bytes(raw)
