"""Slaves of pymodbus whose registers are given images: the peer that every profile is read from.

python profile_slaves.py NEAR FAR BAUD < images.json

Makes a paced wire between the two ttys and answers at its far end, at most 110 s. The images are a list,
one for each unit from 1 on: by table the address and hex of each run of registers (or bits). Says "up" when
it listens.
"""

import asyncio
import json
import sys
from pathlib import Path

from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.demo.wire import Wire

BEYOND = 125  # registers behind the last one, for masters that read exact blocks
SECONDS_TO_LIVE = 110
ORDER = ("coil", "discrete", "holding", "input")  # pymodbus takes the four tables in this order


def table(name: str, image: dict[str, str]) -> list[SimData]:
    if name in {"coil", "discrete"}:
        bits = [False] * (max((int(at, 0) for at in image), default=0) + BEYOND)
        for at, text in image.items():
            packed = int.from_bytes(bytes.fromhex(text), "little")
            for place in range(packed.bit_length()):
                bits[int(at, 0) + place] = bool(packed >> place & 1)
        return [SimData(0, values=bits, datatype=DataType.BITS)]
    starts = [int(at, 0) for at in image]
    first = min(starts, default=0)
    words = [0] * (max(starts, default=0) + BEYOND - first)
    for at, text in image.items():
        run = bytes.fromhex(text)
        for offset in range(0, len(run), 2):
            words[int(at, 0) - first + offset // 2] = int.from_bytes(run[offset : offset + 2])
    return [SimData(first, values=words, datatype=DataType.REGISTERS)]


async def main(near: str, far: str, baud: str) -> None:
    images = json.load(sys.stdin)
    devices = [
        SimDevice(unit, tuple(table(name, image.get(name, {})) for name in ORDER))  # type: ignore[arg-type]  # four lists
        for unit, image in enumerate(images, 1)
    ]
    with Wire(Path(near), Path(far), int(baud)):
        server = ModbusSerialServer(devices, port=far, baudrate=int(baud))
        await server.serve_forever(background=True)
        print("up", flush=True)  # noqa: T201 - the test waits for it
        await asyncio.sleep(SECONDS_TO_LIVE)


asyncio.run(main(*sys.argv[1:4]))
