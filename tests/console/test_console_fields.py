"""No key of the models is out of reach on the page, and each says what it is."""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from edge_agent.console.fields import (
    NEW_ALARM,
    Field,
    alarm_fields,
    bus_fields,
    channel_fields,
    device_fields,
    models,
    settings_fields,
)
from edge_agent.console.filled import blamed, filled, given, put
from edge_agent.console.page import Pages
from edge_agent.console.preview import raw_of
from edge_agent.driver import Quantity
from edge_agent.registry import entries, load, names
from edge_agent.settings.channel import Channel
from edge_agent.settings.device import Bus, Device
from edge_agent.text.language import words
from edge_agent.text.translation import translated

INF = float("inf")


def table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := table_in(part))), None)


def keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every key of a model, found without the code of the forms; * is an id."""
    for name, told in model.model_fields.items():
        path, inner = f"{above}{told.alias or name}", table_in(told.annotation)
        if inner is None:
            yield path
        else:
            yield from keys(inner, f"{path}.*." if get_origin(told.annotation) is Mapping else f"{path}.")


def forms() -> dict[str, Field]:
    """Every field of the forms of a device and of channels of all quantities."""
    found = {field.name: field for field in device_fields(["a"])}
    for quantity in Quantity:
        for field in channel_fields(quantity, {}):
            found[f"channel.*.{field.name}"] = field
        for field in alarm_fields(NEW_ALARM, quantity):
            found[f"channel.*.{field.name}".replace(NEW_ALARM, "*", 1)] = field
    return found


def test_no_key_is_out_of_reach() -> None:
    wanted = set(keys(Device)) - {"driver", "settings"}  # chosen first, and the driver's own
    assert {"report.percent", "channel.*.counter.continue", "channel.*.alarm.*.delay"} < wanted
    assert set(forms()) == wanted
    assert {field.name for field in bus_fields()} == set(keys(Bus))


@pytest.mark.parametrize("driver", [entry.name for entry in entries() if entry.driver])
def test_no_setting_of_a_driver_is_out_of_reach(driver: str) -> None:
    (entry,) = [entry for entry in entries() if entry.name == driver]
    assert entry.driver is not None
    told = {field.name for field in settings_fields(driver)}
    assert told == {f"settings.{key}" for key in entry.driver.settings.model_fields}


@pytest.mark.parametrize("name", [*forms(), *(f"bus {field.name}" for field in bus_fields())])
def test_each_says_what_it_is_in_both_languages(name: str) -> None:
    known = forms() | {f"bus {field.name}": field for field in bus_fields()}
    field, chinese = known[name], words("zh_CN")
    assert field.label
    for text in filter(None, (field.label, field.help)):
        assert translated(text, chinese) != text


TABLE: dict[str, Any] = {
    "name": "Feed",
    "calibrate": {"points": [[0, 0], [230, 231.2]]},
    "plausible": [-INF, 260],
    "report": {"change": 5, "percent": 1.5, "silence": "10m"},
    "hold": "30s",
    "counter": {"rollover": 1000000, "continue": True},
    "alarm": {"high": {"above": 250.5, "hysteresis": 2, "delay": "1m"}, "is": {"equals": False}},
}


def all_fields() -> list[Field]:
    every = {field.name: field for quantity in Quantity for field in channel_fields(quantity, TABLE)}
    alarms = (
        field
        for alarm in TABLE["alarm"]
        for quantity in (Quantity.POWER, Quantity.OCCUPANCY)
        for field in alarm_fields(alarm, quantity)
    )
    return list((every | {field.name: field for field in alarms}).values())


def test_what_a_table_says_comes_back_as_it_was() -> None:
    Channel.model_validate(TABLE)
    shown = filled(all_fields(), TABLE)
    sent: dict[str, str] = {}
    for field in shown:
        rows = {f"{row}.{side}": text for row, *both in field.rows for side, text in enumerate(both)}
        sent |= rows if field.kind in {"pair", "points"} else {field.name: field.value}
    again: dict[str, Any] = {}
    put(again, given(all_fields(), sent))
    assert again == TABLE


def test_labels_and_what_a_quantity_has_not() -> None:
    (labels,) = [
        field for field in filled(device_fields([]), {"labels": {"a": "b"}}) if field.name == "labels"
    ]
    assert labels.value == '"a" = "b"'
    assert "calibrate.scale" not in {field.name for field in channel_fields(Quantity.OCCUPANCY, {})}
    assert "hold" not in {field.name for field in channel_fields(Quantity.POWER, {})}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("calibrate.points[1][0]", "calibrate.points"),
        ("calibrate", "calibrate.scale"),
        ("plausible[0]", "plausible"),
        ("alarm.high", "alarm.high.above"),
        ("report.silence", "report.silence"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(key: str, name: str) -> None:
    problem = {
        "file": "f",
        "line": 3,
        "key": f"device.m.channel.p.{key}",
        "wrong": "is wrong",
        "remedy": "mend",
    }
    fields, others = blamed(all_fields(), [problem], "device.m.channel.p")
    assert [field.name for field in fields if field.wrong] == [name]
    assert others == []
    assert blamed(all_fields(), [problem | {"key": "device.other"}], "device.m.channel.p")[1] == [
        "f:3: device.other: is wrong; mend"
    ]


@pytest.mark.parametrize(
    ("value", "calibrate", "raw"),
    [
        (10.0, {}, 10.0),
        (21.0, {"scale": 2, "offset": 1}, 10.0),
        (1.0, {"scale": 0}, None),
        (True, {}, None),
        (None, {}, None),
        (110.0, {"points": [[0, 0], [100, 110], [200, 230]]}, 100.0),
        (170.0, {"points": [[0, 0], [100, 110], [200, 230]]}, 150.0),
        (-11.0, {"points": [[0, 0], [100, 110], [200, 230]]}, -10.0),
        (254.0, {"points": [[0, 0], [100, 110], [200, 230]]}, 220.0),
        (5.0, {"points": [[0, 10], [10, 0]]}, 5.0),
        (5.0, {"points": [[0, 10], [10, 0], [20, 10]]}, None),
    ],
)
def test_what_a_value_was_before_it_was_calibrated(value: object, calibrate: Any, raw: float | None) -> None:
    assert raw_of(value, calibrate) == (None if raw is None else pytest.approx(raw))


@pytest.mark.parametrize("value", [1234567.0, 123456.75, 0.1, 1e20, -3.0, 0.0])
def test_a_number_that_nobody_touches_stays_as_it_was(value: float) -> None:
    fields = filled(
        channel_fields(next(one for one in Quantity if one.kind == "counter"), {}),
        {"calibrate": {"offset": value}},
    )
    table: dict[str, Any] = {}
    put(table, fields)
    assert table == {"calibrate": {"offset": value}}


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 20_000, ".".join("a" * 3000) + " = 1", "a = 1979-05-27", "a = " + "[" * 90 + "]" * 90],
)
def test_a_table_that_no_file_should_have_stays_a_text(text: str) -> None:
    table: dict[str, Any] = {}
    put(table, given([Field("labels", "lines")], {"labels": text}))
    assert table == {"labels": text}


def test_a_range_says_which_end_it_leaves_out() -> None:
    ranges = {field.name: field.range for field in settings_fields("modbus")}
    assert ranges["settings.ct_ratio"].startswith("> 0 … "), "no current comes from a ratio of 0"
    assert ranges["settings.address"][0].isdigit()


@pytest.mark.parametrize("name", names())
def test_each_model_has_a_chinese_name_and_pages_use_it(name: str) -> None:
    titles = [load(name).title, *(title for _, title in models(name))]
    known = {title: translated(title, words("zh_CN")) for title in titles}
    assert [title for title, told in known.items() if not re.search("[\u4e00-\u9fff]", told)] == []
    kinds = [(entry, models(name)) for entry in entries() if entry.name == name]
    page = Pages().render("change_driver.html", "zh_CN", kinds=kinds, session=None, path="/")
    assert all(html.escape(told, quote=False) in page for told in known.values())


@pytest.mark.parametrize(
    "text", ["9600 8N1: listening", "9600 8N1: Modbus unit 7 answers; 24 profiles are tried", "unit 7"]
)
def test_how_far_a_scan_is_is_told_in_chinese(text: str) -> None:
    assert re.search("[\u4e00-\u9fff]", translated(text, words("zh_CN")))
