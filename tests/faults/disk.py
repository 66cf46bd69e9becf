"""A small disk that fills, is freed, and goes bad: an ext4 file system on a loop device, in memory.

Not a tmpfs: that can be filled too, but it refuses to turn read-only while a file on it is open for writing,
which is the very moment that matters. ext4 turns itself read-only at the first error it meets, as it does on
a failing card, and lets a test pretend such an error.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_TOOL_S = 30
_MB = 1_000_000


class Disk:
    """A mounted file system at ``path``."""

    def __init__(self, path: Path, device: str) -> None:
        self.path = path
        self._device = device
        self._filler = path / "filler"

    @property
    def free_bytes(self) -> int:
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def fill(self) -> None:
        """Leave no block free."""
        with self._filler.open("ab", buffering=0) as filler:
            for size in (1 << 20, 4096, 1024):
                with suppress(OSError):
                    while filler.write(bytes(size)):
                        pass

    def free(self) -> None:
        """Give back what ``fill`` took."""
        self._filler.unlink(missing_ok=True)

    def break_down(self) -> None:
        """Let the kernel meet an error: from now on nothing can be written, also through open files."""
        Path("/sys/fs/ext4", Path(self._device).name, "trigger_fs_error").write_text("1", "ascii")


@contextmanager
def mounted(directory: Path, size_mb: int) -> Iterator[Disk]:
    """Make and mount such a disk under ``directory``; take it away afterwards."""
    if os.geteuid() != 0:
        pytest.fail("a disk that fills needs root; run make test as root")
    image = Path(f"/dev/shm/edge-agent-disk-{os.getpid()}-{id(directory)}")  # memory
    path = directory / "disk"
    path.mkdir()
    with image.open("wb") as file:
        file.truncate(size_mb * _MB)
    try:
        _tool("mkfs.ext4", "-q", "-m", "0", "-b", "1024", str(image))
        device = _tool("losetup", "--find", "--show", str(image)).strip()
        try:
            _tool("mount", "-o", "errors=remount-ro", device, str(path))
            try:
                yield Disk(path, device)
            finally:
                _tool("umount", str(path))
        finally:
            _tool("losetup", "--detach", device)
    finally:
        image.unlink()


def _tool(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TOOL_S).stdout
    except FileNotFoundError:
        pytest.fail(f"{command[0]} is missing; run make test as root, or apt-get install e2fsprogs mount")
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{' '.join(command)}: {error.stderr.strip()}")
