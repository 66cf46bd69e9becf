"""Which serial ports there are, and what adapter each belongs to."""

import os
from dataclasses import dataclass
from pathlib import Path

from edge_agent.bus.address import Address

_OF_ADAPTERS = "serial/by-id/*"
_OF_SOCKETS = ("edge-agent/usb-*", "serial/by-path/*")  # by our udev rules, and by systemd's
_NAMES = (_OF_ADAPTERS, "serial0", "ttyUSB*", "ttyACM*", "ttyAMA*", "ttyS[0-9]*")
# what all adapters of a kind have; 0001: a CP2102 as it leaves the factory
_NO_NUMBERS = {"", "0", "0001"}
_MOST_SHOWN = 50
_DEV, _SYS = Path("/dev"), Path("/sys")


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A port by its most lasting name. ``tty`` is its name of now, ``adapter`` what USB says it is."""

    name: str
    tty: str
    adapter: str


def serial_ports(dev: Path = _DEV, sys: Path = _SYS) -> list[SerialPort]:
    """Return the ports that are there now, those of USB adapters first; each port once."""
    found: dict[str, SerialPort] = {}
    names = _lasting_names(dev, sys)
    for pattern in _NAMES:
        for path in sorted(dev.glob(pattern)):
            tty = os.path.realpath(path)
            if pattern.startswith("ttyS") and not _has_hardware(_known(tty, sys)):
                continue
            name = names.get(tty, str(path))
            found.setdefault(tty, SerialPort(name, tty, _called(_adapter(tty, sys))))
    return list(found.values())[:_MOST_SHOWN]


def lasting(port: str, dev: Path = _DEV, sys: Path = _SYS) -> str:
    """Return a name of the port that stays when it is plugged in again; else its own, as a full path."""
    name = _lasting_names(dev, sys).get(os.path.realpath(port))
    return name or (port if "://" in port else str(Path(port).absolute()))


def shared(port: str, dev: Path = _DEV, sys: Path = _SYS) -> bool:
    """Tell whether a port is named by its adapter, and all adapters of its kind have that one name."""
    return Path(port).parent == (dev / _OF_ADAPTERS).parent and not _has_number(os.path.realpath(port), sys)


def medium(port: str) -> str:
    """Return what tells whether two names of ports mean the same: a device's one path, or host and number."""
    address = Address.parse(port)
    if address.host:
        return f"{address.host}:{address.number}"
    return os.path.realpath(address.device or address.text)


def _lasting_names(dev: Path, sys: Path) -> dict[str, str]:
    """Return the most lasting name of each tty that has any: its adapter's, which goes wherever that goes.

    Of adapters without a number of their own the system gives all of a kind one name, and which of two has it
    may be another after each start: there the socket's name is the one that lasts.
    """
    of_adapters, names = dict[str, str](), dict[str, str]()
    for path in sorted(dev.glob(_OF_ADAPTERS)):
        of_adapters.setdefault(os.path.realpath(path), str(path))
    for tty, name in of_adapters.items():
        if _has_number(tty, sys):
            names[tty] = name
    for pattern in _OF_SOCKETS:
        for path in sorted(dev.glob(pattern)):
            names.setdefault(os.path.realpath(path), str(path))
    return of_adapters | names


def _known(tty: str, sys: Path) -> Path:
    return sys / "class" / "tty" / Path(tty).name


def _has_hardware(tty: Path) -> bool:
    """Tell a real UART from the places that the kernel keeps for UARTs that are not there (type 0)."""
    try:
        return (tty / "type").read_text("ascii").strip() != "0"
    except OSError:
        return False


def _adapter(tty: str, sys: Path) -> Path | None:
    """Return the folder of the USB device that a tty belongs to: the nearest with a maker's number."""
    try:
        place = (_known(tty, sys) / "device").resolve(strict=True)
    except OSError:
        return None
    return next((folder for folder in (place, *place.parents) if (folder / "idVendor").exists()), None)


def _has_number(tty: str, sys: Path) -> bool:
    """Tell whether a tty's adapter has a number of its own; it is taken to, where nothing tells."""
    adapter = _adapter(tty, sys)
    return adapter is None or _said(adapter, "serial") not in _NO_NUMBERS


def _called(adapter: Path | None) -> str:
    """Return maker and product of a USB device; "" for none."""
    return f"{_said(adapter, 'manufacturer')} {_said(adapter, 'product')}".strip() if adapter else ""


def _said(adapter: Path, what: str) -> str:
    try:
        return (adapter / what).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
