"""What is wrong comes first, with what to do; and what a row shows of a device."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.console.driver_page import as_html, wiring
from edge_agent.console.overview import overview, row
from edge_agent.console.page import Pages
from edge_agent.console.sparks import HEIGHT, WIDTH, spark
from edge_agent.console.trouble import remedy, troubles
from edge_agent.registry import names
from edge_agent.status import BusStatus, DeviceStatus, Status

ROOT = Path(__file__).parents[2]
HEARD = DeviceStatus("air-1", "Air 1", "modbus", "online", 1.0, 7, {}, {}, {}, {}, "", bus="a")
STATUS = Status(
    "park", "gw", "epoch", 9.0, 0, 0, 0, "synchronised", 1, 1, "", (HEARD,), (),
    (BusStatus("a", "/dev/ttyUSB0", "", 0, 0, {}, 0, 0.0), BusStatus("radio", "hci0", "", 0, 0, {}, 0, None)),
)  # fmt: skip


def device(id_: str, **more: Any) -> DeviceStatus:
    return replace(HEARD, id=id_, name=id_, **more)


def test_the_worst_is_first_and_who_has_only_begun_is_no_trouble() -> None:
    late = device("late", availability="late", problem="Garbled: checksum", since_s=60.0)
    gone = device("gone", availability="offline", problem="", reason="nothing heard for 9 min", bus="radio")
    new = device("new", availability="late", heard_s=None, reason="nothing was heard yet")
    found = troubles(replace(STATUS, clock="unsynchronised", devices=(late, gone, new, HEARD)))
    assert [one.device for one in found] == ["", "gone", "late"]
    assert [one.remedy for one in found] == ["", "silence/air", "Garbled"]
    assert row(new, None).state == "waiting"


def test_a_bus_that_is_gone_stands_for_its_devices() -> None:
    buses = (replace(STATUS.buses[0], problem="/dev/ttyUSB0 is not there; plug it in"),)
    lost = tuple(device(f"d{number}", availability="offline", problem="...") for number in range(30))
    (only,) = troubles(replace(STATUS, devices=lost, buses=buses))
    assert only.why == "bus a: /dev/ttyUSB0 is not there; plug it in"


def test_devices_are_by_place_in_the_order_that_people_count() -> None:
    devices = tuple(device(f"air-{number}", place="hall") for number in (10, 9, 1))
    told = overview(replace(STATUS, devices=devices), {}, {})
    (group,) = told["groups"]
    assert [one.device.id for one in group.rows] == ["air-1", "air-9", "air-10"]
    assert group.counts == {"online": 3}


def test_a_sparkline_keeps_peaks_and_gaps() -> None:
    assert spark("power", [None, (1.0, 1.0), None]) is None
    drawn = spark("power", [(1.0, 1.0), (0.0, 9.0), None, None, (2.0, 2.0)])
    assert drawn is not None
    assert (drawn.low, drawn.high, drawn.path.count("M")) == (0.0, 9.0, 2)
    assert spark("power", [(1.0, 1.0), None, (1.0, 1.0)], gap=2).path.count("M") == 1  # type: ignore[union-attr]
    places = re.findall(r"[ML]([\d.]+) ([\d.]+)", drawn.path)
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in places)


@pytest.mark.parametrize("kind", ["NoAnswer", "Garbled", "Refused", "Implausible"])
def test_what_a_page_says_of_a_fault_is_what_operate_md_says(kind: str) -> None:
    rows = (ROOT / "docs/operate.md").read_text("utf-8").splitlines()
    (row_of,) = [line for line in rows if line.startswith(f"| `{kind}` |")]
    means, todo = (part.strip() for part in row_of.strip("|").split("|")[1:])
    poor = device("air", faults={kind: 3}, problem=f"{kind}: it", availability="late")
    told = {"row": row(poor, None), "air": False, "remedy_for": remedy(poor, set())}
    html = Pages().render("now.html", "en", **told)
    assert f"<td>{means}</td><td>{todo}</td>" in html
    assert html.count(todo) == 2


def test_a_drivers_page_brings_no_html_and_no_script() -> None:
    shown = as_html(
        "# A\n\n<script>alert(1)</script> [x](javascript:alert(1)) [in](../b.md) [out](https://example.org)\n\n"
        "### `acme`: A\n\n| a | b |\n| --- | --- |\n| <b>1</b> | 2 |\n"
    )
    assert "<script" not in shown
    assert "<b>" not in shown
    assert 'href="javascript' not in shown
    assert shown.count("href=") == 1
    assert '<h3 id="acme">' in shown
    assert "<table>" in shown


@pytest.mark.parametrize("name", names())
def test_each_driver_says_how_it_is_connected(name: str) -> None:
    assert "<p>" in wiring(name)
