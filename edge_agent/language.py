"""What people read, in their language. What stands in the code is English.

On the command line LANG decides; on the operators' page, the browser. Logs, JSON, faults and what goes over
MQTT are never translated: they are searched for and compared.
"""

import gettext
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CATALOGUES = Path(__file__).with_name("locale")
DOMAIN = "edge-agent"
LANGUAGES = {"en": "English", "zh_CN": "简体中文"}
"""Those that there are, each by its own name."""


@dataclass(frozen=True, slots=True)
class Words:
    """One language."""

    catalogue: gettext.NullTranslations

    def tr(self, text: str, /, **values: object) -> str:
        """Return a text in this language, with ``{name}`` in it replaced by the value of that name."""
        told = self.catalogue.gettext(text)
        return told.format(**values) if values else told

    def plural(self, number: int, one: str, many: str, /, **values: object) -> str:
        """Return one of two texts, as the number asks for; ``{number}`` in it is the number itself."""
        return self.catalogue.ngettext(one, many, number).format(number=number, **values)


@cache
def words(language: str) -> Words:
    """Return the words of one of ``LANGUAGES``."""
    return Words(gettext.translation(DOMAIN, CATALOGUES, [language], fallback=True))


_own = Words(gettext.translation(DOMAIN, CATALOGUES, fallback=True))
tr, plural = _own.tr, _own.plural
"""In the language of the environment."""
