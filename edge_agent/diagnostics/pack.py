"""Pack what was gathered into one file, every piece without secrets and of a bounded size."""

import gzip
import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

from edge_agent.diagnostics.scrub import Scrub
from edge_agent.diagnostics.secrets import MOST_BYTES

_ABOUT = """\
What `edge-agent diagnostics` gathered on a gateway. Secrets were taken out: values of keys that are called
one, what the secrets folder holds, and what looks like a password in an address, a key or a token. Comments
of the configuration are left out. Look through it before you hand it on.
"""


def pack(target: Path, found: Iterable[tuple[str, str]], scrub: Scrub, now: float) -> list[str]:
    """Write a tar.gz that only its owner may read, and return what is in it. ``now``: seconds since 1970.

    A link of that name is refused: root would write wherever it leads.

    Raises:
        OSError: it cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(target, flags, 0o600)
    os.fchmod(descriptor, 0o600)  # one that is there already
    names = []
    with (
        open(descriptor, "wb") as file,  # noqa: PTH123 - a descriptor, with its mode
        gzip.GzipFile(target.stem, "wb", fileobj=file, mtime=now) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, text in (("README.txt", _ABOUT), *found):
            content = scrub.text(text, prose=not name.endswith(".json")).encode("utf-8", "replace")[
                :MOST_BYTES
            ]
            entry = tarfile.TarInfo(f"edge-agent/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(now), 0o600
            tar.addfile(entry, io.BytesIO(content))
            names.append(name)
    return names
