"""Compile the catalogues of translations whenever the package is built or installed, editable too."""

from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileCatalogues(BuildHookInterface[Any]):
    """``.po`` becomes ``.mo``, which is what gettext reads."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's form
        """Write each ``.mo`` beside its ``.po``, and take it along."""
        for source in Path(self.root, "edge_agent/locale").glob("*/LC_MESSAGES/*.po"):
            target = source.with_suffix(".mo")
            with source.open("rb") as text, target.open("wb") as compiled:
                write_mo(compiled, read_po(text, locale=source.parts[-3]))
            build_data["artifacts"].append(target.relative_to(self.root).as_posix())
