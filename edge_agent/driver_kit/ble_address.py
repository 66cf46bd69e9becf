"""How a BLE device and what it offers are named: its address, a UUID."""

import re
from typing import Annotated

from pydantic import AfterValidator

_ADDRESS = re.compile(r"([0-9A-F]{2}:){5}[0-9A-F]{2}")


def ble_address(text: str) -> str:
    """Return a BLE address in upper case, as the radio tells it. Raises ValueError where it is none."""
    if not _ADDRESS.fullmatch(text.upper()):
        raise ValueError(
            f"{text!r} is no BLE address; write it as a scan shows it, such as A4:C1:38:00:11:22"
        )
    return text.upper()


BleAddress = Annotated[str, AfterValidator(ble_address)]
"""The address of a BLE device, in upper case."""


def service(short: int) -> str:
    """Return the 128-bit UUID of a 16-bit one (Bluetooth Core Specification 5.4, Vol 3, Part B, 2.5.1)."""
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"
