"""Who logged in and who changed what, when and from where: a file beside the outbox, a line of JSON each."""

import asyncio
import json
import logging
import os
from contextlib import suppress
from pathlib import Path

from edge_agent.clock import moment

log = logging.getLogger(__name__)

_LARGEST = 1_000_000  # bytes, before it becomes the old one, and the one before that is forgotten


class Audit:
    """Writes it. Where the disk does not take it, that is told once, and all goes on."""

    def __init__(self, file: Path) -> None:
        self._file, self._told = file, False

    async def note(self, who: str, address: str, what: str) -> None:
        """Write one line."""
        line = json.dumps({"at": moment(), "who": who, "from": address, "what": what}, ensure_ascii=False)
        try:
            await asyncio.to_thread(self._write, f"{line}\n".encode())
        except OSError as error:
            if not self._told:
                log.warning(
                    "console: %s cannot be written (%s); who does what is not noted",
                    self._file,
                    error.strerror,
                )
            self._told = True
        else:
            self._told = False

    def _write(self, line: bytes) -> None:
        with suppress(FileNotFoundError):
            if self._file.stat().st_size > _LARGEST:
                self._file.replace(self._file.with_name(f"{self._file.name}.old"))
        opened = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(opened, line)
        finally:
            os.close(opened)
