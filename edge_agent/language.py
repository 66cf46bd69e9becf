"""What people read on the command line, in their language: LANG decides; what stands in the code is English.

Logs, JSON, faults and what goes over MQTT are never translated: they are searched for and compared.
"""

import gettext
from pathlib import Path

CATALOGUES = Path(__file__).with_name("locale")
DOMAIN = "edge-agent"

_known = gettext.translation(DOMAIN, CATALOGUES, fallback=True)


def tr(text: str, /, **values: object) -> str:
    """Return a text in the reader's language, with ``{name}`` in it replaced by the value of that name."""
    told = _known.gettext(text)
    return told.format(**values) if values else told


def plural(number: int, one: str, many: str, /, **values: object) -> str:
    """Return one of two texts, as the number asks for; ``{number}`` in it is the number itself."""
    return _known.ngettext(one, many, number).format(number=number, **values)
