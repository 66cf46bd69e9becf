"""A BLE advertisement as people write it: in vectors, and on the command line."""

import re
from collections.abc import Mapping
from typing import Any

from edge_agent.driver import Advertisement
from edge_agent.driver_kit.ble_address import ble_address, service

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def written(told: Mapping[str, Any]) -> Advertisement:
    """Return what a table says: ``address``, ``name``, ``rssi``, ``service_data`` and ``manufacturer_data``.

    Each may be missing. The two last ones have hex bytes by UUID (16 or 128 bits) and by company id.

    Raises:
        ValueError: one of them cannot be read. The message says which, and what to write.
    """
    return Advertisement(
        ble_address(told["address"]) if told.get("address") else "",
        str(told.get("name", "")),
        int(told.get("rssi", 0)),
        {uuid(key): _payload("service data", value) for key, value in told.get("service_data", {}).items()},
        {
            company(key): _payload("manufacturer data", value)
            for key, value in told.get("manufacturer_data", {}).items()
        },
    )


def uuid(text: str) -> str:
    """Return a UUID in its 128-bit form; 16 bits are short for it."""
    digits = text.lower().removeprefix("0x")
    if re.fullmatch(r"[0-9a-f]{4}", digits):
        return service(int(digits, 16))
    if not _UUID.fullmatch(digits):
        raise ValueError(f"{text!r} is not a UUID; write FCD2 or all 128 bits with dashes")
    return digits


def company(text: str) -> int:
    """Return a company id, written ``0x0499`` or ``1177``."""
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError(f"{text!r} is not a company id; write 0x0499 or 1177") from None


def _payload(what: str, text: str) -> bytes:
    try:
        return hex_bytes(text)
    except ValueError as error:
        raise ValueError(f"{what} {error}") from None


def hex_bytes(text: str) -> bytes:
    """Return bytes that are written as hex digits, with or without spaces or colons between them."""
    try:
        return bytes.fromhex(re.sub(r"[\s:]", "", text))
    except ValueError:
        remedy = "give two hex digits a byte, for example F4F3F2F1, f4:f3:f2:f1 or 'F4 F3 F2 F1'"
        raise ValueError(f"{text!r} is not hex; {remedy}") from None
