"""What people read, in their language. What stands in the code is English.

On the command line LANG decides; on the operators' page, the browser. Logs, JSON, faults and what goes over
MQTT are never translated: they are searched for and compared.
"""

import gettext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.driver import Channel

CATALOGUES = Path(__file__).parents[1] / "locale"
DOMAIN = "edge-agent"
LANGUAGES = {"en": "English", "zh_CN": "简体中文"}
"""Those that there are, each by its own name."""

TOLD = "told"
"""The context, in a catalogue, of what is said in English first: see translation.py."""


@dataclass(frozen=True, slots=True)
class Words:
    """One language."""

    catalogue: gettext.NullTranslations

    @property
    def language(self) -> str:
        """Which one, of ``LANGUAGES``."""
        return self.catalogue.info().get("language", "en")

    def label(self, channel: "Channel") -> str:
        """Return what a channel is called in this language, as far as its driver or profile says so."""
        return (channel.label_zh if self.language == "zh_CN" else "") or channel.label

    def tr(self, text: str, /, **values: object) -> str:
        """Return a text in this language, with ``{name}`` in it replaced by the value of that name."""
        translation = self.catalogue.gettext(text)
        return translation.format(**values) if values else translation

    def plural(self, number: int, one: str, many: str, /, **values: object) -> str:
        """Return one of two texts, as the number asks for; ``{number}`` in it is the number itself."""
        return self.catalogue.ngettext(one, many, number).format(number=number, **values)

    def within(self, context: str) -> dict[str, str]:
        """Return all texts of a context with their translations."""
        known: dict[object, str] = vars(self.catalogue).get("_catalog", {})  # gettext lists them nowhere else
        begin = f"{context}\x04"
        return {
            text.removeprefix(begin): translation
            for text, translation in known.items()
            if isinstance(text, str) and text.startswith(begin)
        }


@cache
def words(language: str) -> Words:
    """Return the words of one of ``LANGUAGES``."""
    return Words(gettext.translation(DOMAIN, CATALOGUES, [language], fallback=True))


OWN = Words(gettext.translation(DOMAIN, CATALOGUES, fallback=True))
tr, plural = OWN.tr, OWN.plural
"""In the language of the environment."""
