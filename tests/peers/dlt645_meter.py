"""A DL/T 645-2007 meter that others wrote (dlt645 from PyPI): ``python dlt645_meter.py TTY BAUD ADDRESS``."""

import signal
import sys

from dlt645.service.serversvc.server_service import MeterServerService

ENERGIES = {0x00000000: 1203.35, 0x00010000: 1206.42, 0x00010100: 12.5, 0x00010200: 400.12, 0x00020000: 3.07}
VARIABLES = {
    0x02010100: 231.9,
    0x02010200: 230.0,
    0x02010300: 229.1,
    0x02020100: 4.999,
    0x02020300: -1.5,
    0x02030000: 1.5006,
    0x02030300: -0.3228,
    0x02040000: 0.4331,
    0x02060000: 0.501,
    0x02060100: -0.95,
    0x02800002: 49.98,
    0x02800007: -3.5,
}


def main(port: str, baud: str, address: str) -> None:
    # parity N, for a pty drops PARENB
    meter = MeterServerService.new_rtu_server(port, 8, 1, int(baud), "N", 5.0)
    meter.set_address(bytes.fromhex(address)[::-1])
    for item, value in ENERGIES.items():
        assert meter.set_00(item, value)
    for item, value in VARIABLES.items():
        assert meter.set_02(item, value)
    assert meter.start()
    print("up", flush=True)  # noqa: T201 - the test waits for this line
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:4])
