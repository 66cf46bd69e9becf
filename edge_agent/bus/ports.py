"""Which serial ports there are, and what adapter each belongs to."""

import os
from dataclasses import dataclass
from pathlib import Path

from edge_agent.bus.address import Address

_NAMES = ("serial/by-id/*", "serial0", "ttyUSB*", "ttyACM*", "ttyAMA*", "ttyS[0-9]*")
_MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A port by its most lasting name. ``tty`` is its name of now, ``adapter`` what USB says it is."""

    name: str
    tty: str
    adapter: str


def serial_ports(dev: Path = Path("/dev"), sys: Path = Path("/sys")) -> list[SerialPort]:
    """Return the ports that are there now, those with a lasting name first; each port once."""
    found: dict[str, SerialPort] = {}
    for pattern in _NAMES:
        for path in sorted(dev.glob(pattern)):
            tty = os.path.realpath(path)
            known = sys / "class" / "tty" / Path(tty).name
            if pattern.startswith("ttyS") and not _has_hardware(known):
                continue
            found.setdefault(tty, SerialPort(str(path), tty, _adapter(known / "device")))
    return list(found.values())[:_MOST_SHOWN]


def lasting(port: str, dev: Path = Path("/dev")) -> str:
    """Return a name of the port that stays when it is plugged in again; else its own, as a full path."""
    tty = os.path.realpath(port)
    names = (str(path) for path in sorted(dev.glob("serial/by-id/*")) if os.path.realpath(path) == tty)
    return next(names, port if "://" in port else str(Path(port).absolute()))


def medium(port: str) -> str:
    """Return what tells whether two names of ports mean the same: a device's one path, or host and number."""
    address = Address.parse(port)
    if address.host:
        return f"{address.host}:{address.number}"
    return os.path.realpath(address.device or address.text)


def _has_hardware(tty: Path) -> bool:
    """Tell a real UART from the places that the kernel keeps for UARTs that are not there (type 0)."""
    try:
        return (tty / "type").read_text("ascii").strip() != "0"
    except OSError:
        return False


def _adapter(device: Path) -> str:
    """Return maker and product of the USB device that a tty belongs to; "" for none."""
    try:
        place = device.resolve(strict=True)
    except OSError:
        return ""
    for folder in (place, *place.parents):
        try:
            product = (folder / "product").read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
        try:
            maker = (folder / "manufacturer").read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            maker = ""
        return f"{maker} {product}".strip()
    return ""
