"""How a BLE device, its key and what it offers are named: its address, its bind key, a UUID."""

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr

_KEY = re.compile(r"[0-9A-Fa-f]{32}")
_ADDRESS = re.compile(r"([0-9A-F]{2}:){5}[0-9A-F]{2}")


def _key(text: SecretStr) -> SecretStr:
    if not _KEY.fullmatch(text.get_secret_value()):
        raise ValueError("is not a key; write its 16 bytes as 32 hex digits, in a secret file")
    return text


BindKey = Annotated[SecretStr, AfterValidator(_key)]
"""The key of a device that encrypts what it broadcasts, 16 bytes in hex. Configured as a secret."""


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
