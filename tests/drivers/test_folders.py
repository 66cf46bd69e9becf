"""Every driver folder is whole: declared, with a sample that parses and a page that is up to date."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge_agent import registry
from edge_agent.cli.devices_page import devices_page
from edge_agent.cli.driver_page import page

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(
    path.parent
    for path in (ROOT / "drivers").rglob("__init__.py")
    if "\ndriver = Driver(" in path.read_text("utf-8")
)
FILES = ("__init__.py", "README.md", "sample.toml", "vectors.toml")
HEADINGS = ["What", "Wiring", "Settings", "Channels", "Quirks", "Example reading"]

each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.name))


def sample(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "sample.toml").read_text("utf-8"))


def package(folder: Path) -> str:
    return ".".join(folder.relative_to(ROOT).parts)


def test_there_are_drivers() -> None:
    assert FOLDERS


@each_folder
def test_folder_has_its_files(folder: Path) -> None:
    missing = [name for name in FILES if not (folder / name).is_file()]
    assert missing == [], f"{folder.relative_to(ROOT)} lacks {', '.join(missing)}; every driver has {FILES}"


@each_folder
def test_driver_is_declared_and_installed(folder: Path) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    line = f'{folder.name} = "{package(folder)}:driver"'
    assert declared["edge_agent.drivers"].get(folder.name) == f"{package(folder)}:driver", (
        f'add {line} to [project.entry-points."edge_agent.drivers"] in pyproject.toml, '
        "then run `make install`"
    )
    assert folder.name in registry.names(), (
        f"driver {folder.name} is declared, but not installed: entry points are frozen when the package is "
        "installed; run `make install`"
    )
    if (folder / "profiles").is_dir():
        assert declared["edge_agent.profiles"].get(folder.name) == f"{package(folder)}.profiles"


@each_folder
def test_sample_is_valid_and_shows_every_option(folder: Path) -> None:
    record = registry.load(folder.name)
    written = sample(folder)
    assert written.keys() == {"bus", "device"}
    (device,) = written["device"].values()
    assert device["driver"] == folder.name
    assert device["bus"] in written["bus"]
    record.open(record.settings.model_validate(device["settings"]))
    lines = (folder / "sample.toml").read_text("utf-8").partition("settings]\n")[2].splitlines()
    for key, field in record.settings.model_fields.items():
        if field.default is None and any(line.startswith(f"# {key} = ") for line in lines):
            continue  # TOML cannot say that a key is not set
        assert key in device["settings"], f"{folder.relative_to(ROOT)}/sample.toml does not show {key}"
        shown = device["settings"][key]
        assert field.is_required() or (tuple(shown) if isinstance(shown, list) else shown) == field.default
    for line in lines:
        assert " # " in line, f"{folder.relative_to(ROOT)}/sample.toml: {line!r} has no comment"


@each_folder
def test_page_is_whole_and_up_to_date(folder: Path) -> None:
    text = (folder / "README.md").read_text("utf-8")
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings == HEADINGS
    assert text == page(folder.name), (
        f"{folder.relative_to(ROOT)}/README.md is out of date; "
        f"run `edge-agent drivers page {folder.name} > page.md && mv page.md drivers/{folder.name}/README.md`"
    )


def test_the_table_of_all_devices_is_up_to_date() -> None:
    written = (ROOT / "docs" / "devices.md").read_text("utf-8")
    assert written == devices_page(), "docs/devices.md is out of date; run `make pages`"


@each_folder
def test_record_says_how_it_is_heard(folder: Path) -> None:
    record = registry.load(folder.name)
    assert record.home == package(folder)
    assert record.cut is not None or record.over.value != "stream"
    assert record.cut is None or record.over.value in {"stream", "line"}
    assert (record.broadcast is not None) == (record.over.value == "advertisements")
