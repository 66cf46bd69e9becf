"""Who may import whom, held by reading every import in the tree."""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("edge_agent", "drivers")
    for path in (ROOT / package).rglob("*.py")
)

APART = ("bus", "processing", "outbox", "uplink")

# One third-party library, one door; "*" may be any part of a path.
DOORS = {
    "aiosqlite": ["edge_agent/outbox/store.py"],
    "amqtt": ["edge_agent/demo/*"],
    "argon2": ["edge_agent/console/users.py"],
    "bleak": ["edge_agent/bus/ble/*"],
    "cryptography": ["edge_agent/driver_kit/bindkey.py", "edge_agent/demo/beacons.py"],
    "dbus_fast": ["edge_agent/bus/ble/*", "edge_agent/demo/bluez/*"],
    "gpiod": ["edge_agent/bus/contact.py"],
    "jinja2": ["edge_agent/console/page.py"],
    "markdown_it": ["edge_agent/console/driver_page.py"],
    "orjson": ["edge_agent/*"],
    "paho": [  # a gateway's; a consumer's; a short visit's
        "edge_agent/uplink/mqtt.py",
        "edge_agent/uplink/properties.py",
        "edge_agent/consume/subscriber.py",
        "edge_agent/uplink/probe.py",
    ],
    "prometheus_client": ["edge_agent/metrics/exposition.py"],
    "pwdlib": ["edge_agent/demo/*"],  # amqtt's own, for its password file
    "pydantic": ["edge_agent/*", "drivers/*"],
    "rich": [
        "edge_agent/cli/*",
        "edge_agent/consume/report.py",
        "edge_agent/demo/*",
        "edge_agent/text/value_lines.py",
    ],
    "serial": ["edge_agent/bus/serial.py"],
    "starlette": ["edge_agent/console/*"],
    "tomlkit": ["edge_agent/settings/document.py"],
    "typer": ["edge_agent/cli/*"],
    "uvicorn": ["edge_agent/console/connections.py"],
    "yaml": ["edge_agent/contract/export.py"],
}

# A driver is pure: these would let it wait, read a clock, log, start threads or touch the machine.
IMPURE = {
    "asyncio", "ctypes", "http", "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "queue",
    "sched", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile",
    "termios", "threading", "time", "tty", "urllib",
}  # fmt: skip

# What backends import: it stays pure, and brings nothing of the agent with it.
FOR_BACKENDS = [
    module
    for module in MODULES
    if module.startswith("edge_agent/contract/") and not module.endswith("/export.py")
]


def imports(source: str, module: str) -> set[str]:
    """Return all that a module imports, as full names; of ``from a import b`` both a and a.b."""
    package = module.removesuffix(".py").removesuffix("/__init__").split("/")
    if not module.endswith("/__init__.py"):
        package = package[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{name.name}" for name in node.names)}
    return found


def breaches(module: str, imported: set[str]) -> Iterator[str]:
    """Say which imports of a module the house does not allow."""
    for name in sorted(imported):
        top = name.partition(".")[0]
        if module.startswith("drivers/"):
            yield from driver_breaches(module, name)
        elif top == "drivers":
            yield f"{module} imports {name}; the agent finds drivers through the registry"
        if top not in sys.stdlib_module_names | {"edge_agent", "drivers"}:
            doors = DOORS.get(top)
            if doors is None:
                yield f"{module} imports {name}, which has no door; give {top} one in DOORS"
            elif not any(fnmatch(module, door) for door in doors):
                yield f"{module} imports {name}; the only door to {top} is {', '.join(doors)}"
        room = folder(module)
        if module.startswith("edge_agent/") and room in APART:
            for other in APART:
                if other != room and f"{name}.".startswith(f"edge_agent.{other}."):
                    yield f"{module} imports {name}; {', '.join(APART)} do not import one another"


def driver_breaches(module: str, name: str) -> Iterator[str]:
    top, own = name.partition(".")[0], folder(module)
    family = (f"drivers.{own}.", f"drivers.{own.partition('_')[0]}.")  # d0_mode_c shares the text of d0
    if top == "drivers" and not f"{name}.".startswith(family):
        yield f"{module} imports {name}; a driver imports no other driver, but of its family"
    if top == "edge_agent" and not f"{name}.".startswith("edge_agent.driver.") and name != "edge_agent":
        yield f"{module} imports {name}; a driver imports edge_agent.driver and nothing else of ours"
    if top in IMPURE:
        yield f"{module} imports {name}; a driver holds no loop, clock, log, thread or I/O"


def folder(module: str) -> str:
    return module.split("/")[1]


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_only_what_it_may(module: str) -> None:
    source = (ROOT / module).read_text("utf-8")
    assert list(breaches(module, imports(source, module))) == []


@pytest.mark.parametrize("module", FOR_BACKENDS)
def test_what_backends_import_is_pure(module: str) -> None:
    imported = imports((ROOT / module).read_text("utf-8"), module)
    assert [name for name in imported if name.partition(".")[0] in IMPURE] == []
    ours = [name for name in imported if name.startswith("edge_agent.")]
    assert [name for name in ours if not name.startswith("edge_agent.contract")] == []


@pytest.mark.parametrize(
    ("module", "source", "message"),
    [
        ("drivers/acme/__init__.py", "from edge_agent.bus import modbus", "nothing else of ours"),
        ("drivers/acme/__init__.py", "from edge_agent import registry", "nothing else of ours"),
        ("drivers/acme/__init__.py", "import drivers.modbus.plan", "no other driver"),
        ("drivers/acme/__init__.py", "from .. import modbus", "no other driver"),
        ("drivers/acme_tx20/__init__.py", "from drivers.acm import frame", "no other driver"),
        ("drivers/acme/__init__.py", "def f():\n    import time", "clock"),
        ("drivers/acme/__init__.py", "import serial", "the only door to serial is edge_agent/bus/serial.py"),
        ("edge_agent/agent/agent.py", "from drivers.ld24xx.ld2410 import driver", "through the registry"),
        ("edge_agent/bus/line.py", "import serial.tools", "the only door to serial"),
        ("edge_agent/bus/line.py", "from edge_agent.outbox.store import Store", "one another"),
        ("edge_agent/uplink/lane.py", "from ..outbox import store", "one another"),
        ("edge_agent/outbox/store.py", "import edge_agent.uplink", "one another"),
        ("edge_agent/outbox/recovery.py", "import aiosqlite", "the only door to aiosqlite"),
        ("edge_agent/uplink/topics.py", "import paho.mqtt.client", "the only door to paho"),
        ("edge_agent/status.py", "from rich.table import Table", "the only door to rich"),
        ("edge_agent/agent/agent.py", "import typer", "the only door to typer"),
        ("edge_agent/agent/agent.py", "import requests", "has no door"),
    ],
)
def test_a_breach_is_found(module: str, source: str, message: str) -> None:
    found = list(breaches(module, imports(source, module)))
    assert any(message in breach for breach in found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("drivers/acme/__init__.py", "from edge_agent.driver import Driver\nfrom pydantic import Field"),
        ("drivers/acme/__init__.py", "import struct\nfrom drivers.acme.plan import plan\nfrom . import plan"),
        ("drivers/acme_tx20/__init__.py", "from drivers.acme.frame import cut"),
        ("edge_agent/bus/serial.py", "import serial\nfrom . import framing"),
        ("edge_agent/cli/__init__.py", "import typer\nfrom rich import print\nfrom ..outbox import store"),
    ],
)
def test_what_is_allowed_is_no_breach(module: str, source: str) -> None:
    assert list(breaches(module, imports(source, module))) == []
