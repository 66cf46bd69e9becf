"""Which blocks to read, so that a device is asked for everything in the least time on the line."""

from collections.abc import Iterator
from itertools import groupby

from drivers.modbus.profile import Profile
from edge_agent.driver import Read

_OVERHEAD = 13  # bytes: 8 of a request and 5 around an answer's data; MODBUS over Serial Line V1.02, 2.5.1
_TURN_ROUND = 0.05  # seconds: the device's thinking and the silences on both sides
_USUAL_SERIAL = "9600 8N1"  # where the profile has none
_MOST_BITS = 2000  # in one request; MODBUS Application Protocol V1.1b3, 6.1


def plan(profile: Profile, address: int) -> Iterator[Read]:
    """Group a profile's registers into requests.

    A hole is read over when that takes less time on the line than one more request, at the profile's
    serial speed: a slow line favours several requests, a fast one favours few. A profile may instead
    name its blocks, or forbid holes.
    """
    if profile.blocks:
        yield from (Read(address, block.table, block.at, block.count) for block in profile.blocks)
        return
    affordable = _request_bytes(profile.serial or _USUAL_SERIAL) if profile.holes else 0
    by_table = sorted(profile.channels, key=lambda register: (register.table, register.at))
    for table, group in groupby(by_table, key=lambda register: register.table):
        bits = table in {"coil", "discrete"}
        widest_hole = affordable * 8 if bits else affordable / 2
        most = _MOST_BITS if bits else profile.max_registers
        first, *others = group
        start, end = first.at, first.end
        for register in others:
            reach = max(end, register.end)
            if register.at - end > widest_hole or reach - start > most:
                yield Read(address, table, start, end - start)
                start, end = register.at, register.end
            else:
                end = reach
        yield Read(address, table, start, end - start)


def _request_bytes(serial: str) -> float:
    """Return what one more request costs, in bytes on the line."""
    baud, form = serial.split(" ")
    bits_per_byte = 1 + int(form[0]) + (form[1] != "N") + int(form[2])
    return _OVERHEAD + _TURN_ROUND * int(baud) / bits_per_byte
