"""config/agent.toml against the model: everything in it holds, and nothing of the model is left out."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edge_agent.settings.load import load
from edge_agent.settings.model import Config

CONFIG = Path(__file__).parents[2] / "config"
TEXT = (CONFIG / "agent.toml").read_text("utf-8")
SWITCHED_ON = re.sub(r"(?m)^#(?=[a-z\[])", "", TEXT)
EXAMPLES = sorted((CONFIG / "examples").glob("*.toml"))


@pytest.fixture
def placed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all the secrets and certificates that the files name."""
    for name in ("city-ca.pem", "gw-01.pem", "gw-01.key", "console.pem", "console.key"):
        (tmp_path / name).touch()
    (tmp_path / "city-password").write_text("secret", "utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    return tmp_path


def loaded(text: str, folder: Path) -> Config:
    file = folder / "agent.toml"
    file.write_text(text.replace("/etc/edge-agent/tls", str(folder)), "utf-8")
    return load(file)


def test_it_can_be_used_as_it_is() -> None:
    assert not load(CONFIG / "agent.toml").device


def test_it_can_be_used_with_every_option_switched_on(placed: Path) -> None:
    config = loaded(SWITCHED_ON, placed)
    assert len(config.device) == 2
    assert config.uplink["city"].key == placed / "gw-01.key"
    assert SWITCHED_ON.count("\n#") < 20, "only prose is left"


def table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := table_in(part))), None)


def options(model: type[BaseModel], where: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every option of the model, by its path with * for an id."""
    for name, field in model.model_fields.items():
        path = f"{where}{name}"
        inner = table_in(field.annotation)
        if inner is None:
            yield path, field
        else:
            yield from options(inner, f"{path}.*." if get_origin(field.annotation) is Mapping else f"{path}.")


def written(path: str, table: Any) -> list[Any]:
    """All values of an option in the file, or in the configuration loaded from it."""
    first, _, rest = path.partition(".")
    if isinstance(table, BaseModel):
        inner = [getattr(table, first)] if first in table.model_fields_set else []
    else:
        kept_by_python = {"begin": "from", "class_": "class", "continue_": "continue"}
        key = kept_by_python.get(first, first)
        inner = list(table.values()) if first == "*" else [table[key]] if key in table else []
    return [
        value for found in inner if found is not None for value in (written(rest, found) if rest else [found])
    ]


OPTIONS = list(options(Config))
# One line serves them all: what a channel reports, shown once, is what its device reports for all of them.
SHOWN_ELSEWHERE = {"device.*.report.change", "device.*.report.percent"}


@pytest.mark.parametrize("path", [path for path, _ in OPTIONS])
def test_every_option_is_shown(path: str) -> None:
    raw = tomllib.loads(SWITCHED_ON)
    assert path in SHOWN_ELSEWHERE or written(path, raw)


DEFAULTS = [
    (path, field.default)
    for path, field in OPTIONS
    if not field.is_required() and field.default_factory is None and field.default not in {None, ""}
]


@pytest.mark.parametrize(("path", "default"), DEFAULTS)
def test_every_default_is_shown_as_it_is(path: str, default: object, placed: Path) -> None:
    shown = written(path, loaded(SWITCHED_ON, placed))
    assert shown
    assert all(value == default for value in shown)


def test_the_default_client_id_is_the_one_shown(placed: Path) -> None:
    shown = loaded(SWITCHED_ON, placed).uplink["city"].client_id
    left_out = loaded(re.sub(r"(?m)^client_id.*$", "", SWITCHED_ON), placed).uplink["city"].client_id
    assert shown == left_out


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_can_be_used(file: Path, placed: Path) -> None:
    config = loaded(file.read_text("utf-8"), placed)
    assert config.device
    assert config.uplink


def test_there_are_examples() -> None:
    assert {file.stem for file in EXAMPLES} == {"cabinet", "greenhouse", "radar"}
