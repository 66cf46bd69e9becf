"""Compile the catalogues of translations whenever the package is built or installed, editable too."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NO_DATE = datetime(1980, 1, 1, tzinfo=UTC)  # one of today would make each build another one


class CompileCatalogues(BuildHookInterface[Any]):
    """``.po`` becomes ``.mo``, which is what gettext reads."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's form
        """Write each ``.mo`` beside its ``.po``, and take it along."""
        for source in Path(self.root, "edge_agent/locale").glob("*/LC_MESSAGES/*.po"):
            target = source.with_suffix(".mo")
            with source.open("rb") as text, target.open("wb") as compiled:
                catalogue = read_po(text, locale=source.parts[-3])
                catalogue.creation_date = catalogue.revision_date = _NO_DATE
                write_mo(compiled, catalogue)
            build_data["artifacts"].append(target.relative_to(self.root).as_posix())
