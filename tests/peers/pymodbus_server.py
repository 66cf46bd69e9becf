"""A Modbus TCP server made of pymodbus: says "up" and its port; at most 60 s.

Input and holding registers 0 to 99 of unit 7 hold 1000 and 2000 plus their number.
"""

import asyncio
import signal
from typing import Any

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


async def main() -> None:
    signal.alarm(60)
    bits = SimData(0, values=[False] * 16, datatype=DataType.BITS)
    words = [
        SimData(0, values=[base + at for at in range(100)], datatype=DataType.REGISTERS)
        for base in (2000, 1000)
    ]
    device = SimDevice(7, ([bits], [bits], [words[0]], [words[1]]))
    server: Any = ModbusTcpServer(device, address=("127.0.0.1", 0))
    await server.listen()
    print("up", server.transport.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the test waits for it
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
