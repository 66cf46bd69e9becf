"""A table of conf.d in place of the installer's: it holds, and a change of the other one is never unseen."""

import json
from pathlib import Path

import pytest

from edge_agent.settings.console_file import words
from edge_agent.settings.error import SettingsError
from edge_agent.settings.load import load, load_what_runs
from edge_agent.settings.overrides import mark_of

BUS = '[bus.a]\nport = "/dev/ttyUSB0"\n'
METER = """[device.meter]
driver = "modbus"
bus = "a"
settings = { profile = "eastron_sdm120", address = 7 }
"""
OTHER = METER.replace("meter]", "other]").replace("= 7", "= 8")
MARK = mark_of({"driver": "modbus", "bus": "a", "settings": {"profile": "eastron_sdm120", "address": 7}})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "conf.d").mkdir()
    file = tmp_path / "agent.toml"
    file.write_text(f'config = 1\n[gateway]\nsite = "s"\nid = "g"\n{BUS}{METER}{OTHER}', "utf-8")
    return file


def own(file: Path, text: str, name: str = "50-console.toml") -> None:
    (file.parent / "conf.d" / name).write_text(text, "utf-8")


def refused(file: Path) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(file)
    return [str(problem).replace(f"{file.parent}/", "") for problem in caught.value.problems]


def test_it_holds_in_its_place_and_knows_where_the_other_stands(file: Path) -> None:
    own(file, METER.replace("= 7 }", f'= 9 }}\nreplaces = "{MARK}"'))
    loaded = load_what_runs(file)
    assert list(loaded.config.device) == ["meter", "other"], "and in its order"
    assert loaded.config.device["meter"].settings["address"] == 9
    assert loaded.files.place(("device", "meter", "settings"))[0].endswith("50-console.toml")
    other = loaded.files.overridden["device", "meter"]
    assert (other.line, other.table["settings"]["address"]) == (7, 7)
    assert "replaces" not in json.dumps(loaded.files.raw)


def test_it_may_leave_its_place_empty(file: Path) -> None:
    own(file, f'device.meter = {{ replaces = "{MARK}", removed = true }}\n')
    assert list(load(file).device) == ["other"]


def test_a_comment_is_no_change_and_a_change_is_told_with_both_places(file: Path) -> None:
    own(file, METER + f'replaces = "{MARK}"\n')
    file.write_text(file.read_text().replace("[device.meter]", "# seven\n[device.meter]"))
    load(file)
    file.write_text(file.read_text().replace("address = 7", "address = 6"))
    (problem,) = refused(file)
    assert problem.startswith(
        "conf.d/50-console.toml:5: device.meter.replaces: was changed by hand in agent.toml:8"
    )
    (fresh,) = {problem.rpartition('replaces = "')[2].rstrip('"')}
    own(file, METER + f'replaces = "{fresh}"\n')
    assert load(file).device["meter"].settings["address"] == 7


def test_the_other_one_is_gone(file: Path) -> None:
    own(file, METER.replace("meter", "gone").replace("= 7", "= 5") + f'replaces = "{MARK}"\n')
    (problem,) = refused(file)
    assert "takes the place of what stands nowhere any more" in problem


def test_one_in_a_later_file_is_taken_over_too(file: Path) -> None:
    file.write_text(file.read_text().replace(METER, ""))
    own(file, METER, "60-mine.toml")
    own(file, METER.replace("= 7 }", f'= 9 }}\nreplaces = "{MARK}"'))
    assert load(file).device["meter"].settings["address"] == 9


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('replaces = "x"\nremoved = true\nname = "n"', "device.meter.removed: is not a known key"),
        ("replaces = 7", "was changed by hand"),
    ],
)
def test_what_is_none(file: Path, text: str, wrong: str) -> None:
    own(file, METER + text)
    assert any(wrong in problem for problem in refused(file))


def test_agent_toml_replaces_nothing(file: Path) -> None:
    file.write_text(file.read_text().replace(METER, METER + f'replaces = "{MARK}"\n'))
    assert "device.meter.replaces: is not a known key" in refused(file)[0]


REPLACED, REMOVED = '[device.m]\nreplaces = "x"\nname = "n"\n', '[device.m]\nreplaces = "x"\nremoved = true\n'


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("", REPLACED, "device m changed"),
        ("", REMOVED, "device m removed"),
        (REPLACED, REMOVED, "device m removed"),
        (REMOVED, REPLACED, "device m added"),
        (REMOVED, "", "device m is the installer's again"),
        (REPLACED, "", "device m is the installer's again"),
        ("", '[bus.b]\nport = "/dev/b"\n', "bus b added"),
    ],
)
def test_what_a_change_is_called(before: str, after: str, said: str) -> None:
    assert words(before, after) == (said,)
