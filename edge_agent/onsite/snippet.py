"""A configuration made of what a scan found: whole enough for ``edge-agent check``, its doubts included."""

from collections import Counter
from collections.abc import Iterator, Sequence

from edge_agent.bus.address import Address
from edge_agent.onsite.judge import Fit
from edge_agent.onsite.scan import Found
from edge_agent.onsite.toml_text import id_of, value

HEAD = (
    "# What `edge-agent scan` found. Names, intervals and site are yours to choose.",
    "config = 1",
    "",
    "[gateway]",
    'site = "my-site"',
    'id = "gw-01"                      # readings are numbered under it: choose it once',
)


def snippet(port: str, found: Sequence[Found]) -> str:
    """Return an agent.toml for the devices of one port, "" where nothing fits.

    A port has one serial format: what was found in another one than most is there as a comment.
    """
    fitting = [one for one in found if one.fits]
    if not fitting:
        return ""
    serial = Counter(one.serial for one in fitting).most_common(1)[0][0]
    bus = id_of(port.rstrip("/").rpartition("/")[2], "bus")
    lines = [
        *HEAD,
        "",
        f"[bus.{bus}]",
        f"port = {value(port)}",
        *([] if Address.parse(port).kind == "modbus-tcp" else [f"serial = {value(serial)}"]),
    ]
    names: Counter[str] = Counter()
    for one in found:
        lines += ["", *_device(one, bus, serial, names)]
    return "\n".join(lines) + "\n"


def _device(one: Found, bus: str, serial: str, names: Counter[str]) -> Iterator[str]:
    if not one.fits:
        yield f"# {one.who} at {one.serial} answers, and no driver or profile fits."
        return
    best, *others = one.fits
    name = id_of("-".join((best.name, *one.who.split()[-1:])), "device")
    names[name] += 1
    if names[name] > 1:
        name = f"{name}-{names[name]}"
    off = "" if one.serial == serial else "# "
    if off:
        yield f"# The next one is set to {one.serial}: set it to {serial}, or give it a port of its own."
    yield f"{off}[device.{name}]                # {best.model}"
    yield f"{off}driver = {value(best.driver)}"
    yield f"{off}bus = {value(bus)}"
    if best.settings:
        yield f"{off}settings = {value(best.settings)}"
    yield f"# now: {best.shown_values()}"
    yield from (f"# in doubt: {doubt}" for doubt in best.doubts)
    yield from (f"# fits as well: {_told(other)}: {other.shown_values()}" for other in others)


def _told(fit: Fit) -> str:
    return f"{fit.driver} {value(fit.settings)}" if fit.settings else fit.driver
