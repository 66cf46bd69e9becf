"""Compile the catalogues of translations whenever the package is built or installed, editable too."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NO_DATE = datetime(1980, 1, 1, tzinfo=UTC)  # one of today would make each build another one


def compile_catalogues(root: Path) -> list[Path]:
    """Write each ``.mo`` beside its ``.po``; return them, below ``root``."""
    made = []
    for source in sorted(root.glob("edge_agent/locale/*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        with source.open("rb") as text, target.open("wb") as compiled:
            catalogue = read_po(text, locale=source.parts[-3])
            catalogue.creation_date = catalogue.revision_date = _NO_DATE
            write_mo(compiled, catalogue)
        made.append(target.relative_to(root))
    return made


class CompileCatalogues(BuildHookInterface[Any]):
    """``.po`` becomes ``.mo``, which is what gettext reads."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's form
        """Take each ``.mo`` along."""
        build_data["artifacts"] += [path.as_posix() for path in compile_catalogues(Path(self.root))]
