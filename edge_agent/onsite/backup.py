"""A gateway in one file: its configuration with all that lies beside it, and the outbox if that is wanted.

The file is a tar.gz: ``config/`` is the configuration's folder, ``outbox.db`` the outbox at one moment,
``backup.json`` says whose it is. It holds the secrets, so that only its owner may read it.
"""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from edge_agent.outbox import copying

VERSION = 1
_LABEL, _CONFIG, _OUTBOX = "backup.json", "config", "outbox.db"
_LARGEST = 4_000_000  # bytes of a file beside the configuration
_MOST = 2000  # files
_MODE = 0o770  # nothing for others: there are secrets
_OURS = ("root", "edge-agent")  # owners that mean the same on every gateway


class BackupError(Exception):
    """A backup cannot be made or used. The message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Label:
    """Whose backup it is. ``config`` names the configuration's file; ``ts`` is in ms, None if not known."""

    site: str
    gateway: str
    version: str
    config: str
    ts: int | None
    has_outbox: bool
    backup: int = VERSION


def write(
    file: Path,
    label: Label,
    folder: Path,
    outbox: Path | None,
    on_progress: Callable[[float], None] = lambda _share: None,
) -> None:
    """Write a backup of a configuration's folder, and of an outbox that may be in use.

    Raises:
        BackupError: something of it cannot be read, or the file cannot be written, or is there already.
        OutboxError: the outbox cannot be read.
    """
    if file.resolve().is_relative_to(folder.resolve()):
        raise BackupError(f"{file}: would be in itself, and in each later one; write it outside of {folder}")
    with (
        _new(file) as raw,
        TemporaryDirectory(dir=file.absolute().parent) as beside,
        tarfile.open(fileobj=raw, mode="w:gz", compresslevel=6, dereference=True) as tar,
    ):
        content = json.dumps(asdict(label), indent=2).encode()
        member = tarfile.TarInfo(_LABEL)
        member.size, member.mode = len(content), 0o600
        tar.addfile(member, io.BytesIO(content))
        for path in _files(folder):
            tar.add(path, f"{_CONFIG}/{path.relative_to(folder)}".removesuffix("/."), recursive=False)
        if outbox is not None:
            copy = Path(beside) / _OUTBOX
            copying.copy_to(outbox, copy, on_progress)
            tar.add(copy, _OUTBOX)


@contextmanager
def _new(file: Path) -> Iterator[BinaryIO]:
    """Open a new file, readable by its owner only; it is kept only if the block ends without an error."""
    part = file.with_name(file.name + ".part")
    if file.exists():
        raise BackupError(f"{file} is there already; give another name, or remove it")
    try:
        part.unlink(
            missing_ok=True
        )  # of one that was cut off, or laid there by somebody who wants the secrets
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as raw:
            yield raw
            raw.flush()
            os.fsync(descriptor)
        part.replace(file)
    except OSError as error:
        where = error.filename or file
        raise BackupError(f"{where}: {error.strerror}; check the place and who may use it") from None
    finally:
        part.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    """Yield a folder and all that is in it; a link to a file counts as that file."""
    found = [folder, *sorted(path for path in folder.rglob("*") if path.is_dir() or path.is_file())]
    if len(found) > _MOST:
        raise BackupError(f"{folder}: holds more than {_MOST} files; is it the configuration's own folder?")
    for path in found:
        if path != folder and path.is_symlink() and path.is_dir():
            raise BackupError(f"{path}: is a link to a folder; put the folder itself there")
        if path.is_file() and path.stat().st_size > _LARGEST:
            raise BackupError(f"{path}: is larger than {_LARGEST} bytes; move it elsewhere")
        yield path


@contextmanager
def opened(file: Path) -> Iterator[tuple[Label, tarfile.TarFile]]:
    """Open a backup, and read whose it is.

    Raises:
        BackupError: it is none, or it is damaged.
    """
    try:
        with tarfile.open(file, "r:gz") as tar:
            yield _label(file, tar), tar
    except (tarfile.TarError, EOFError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BackupError(f"{file}: cannot be read as a backup ({reason})") from None


def _label(file: Path, tar: tarfile.TarFile) -> Label:
    try:
        first = tar.next()
        content = tar.extractfile(first) if first is not None and first.name == _LABEL else None
        label = Label(**json.loads(content.read(_LARGEST))) if content else None
    except (ValueError, TypeError):
        label = None
    if label is None:
        raise BackupError(f"{file}: is no backup of an edge-agent; give a file that edge-agent backup wrote")
    if label.backup != VERSION:
        raise BackupError(f"{file}: was made by a newer agent ({label.version}); install that one")
    return label


def unpack(tar: tarfile.TarFile, folder: Path) -> None:
    """Lay out the configuration in ``folder``, which is made. Nothing is written anywhere else.

    Raises:
        BackupError: there is something in it that no backup holds.
        OSError: it cannot be written.
    """
    folder.mkdir(mode=0o700)
    for member in tar:
        top, *inside = Path(member.name).parts
        if member.name in {_LABEL, _OUTBOX} and member.isfile():
            continue
        if top != _CONFIG or ".." in inside or not (member.isfile() or member.isdir()):
            raise BackupError(f"{member.name!r} is in it, which belongs into no backup; somebody changed it")
        target = folder.joinpath(*inside)
        if member.isdir():
            target.mkdir(exist_ok=True)
        else:
            _extract(tar, member, target)
        _give(target, member)
        target.chmod(member.mode & _MODE)


def take_outbox(tar: tarfile.TarFile, target: Path) -> None:
    """Write the outbox's copy to ``target``.

    Raises:
        OSError: it cannot be written.
    """
    _extract(tar, tar.getmember(_OUTBOX), target)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None, "it is a file"
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with source, os.fdopen(descriptor, "wb") as written:
        shutil.copyfileobj(source, written)
        written.flush()
        os.fsync(written.fileno())


def _give(target: Path, member: tarfile.TarInfo) -> None:
    """Give a file its former owner and group, if these are ours and exist here, and this user is root."""
    if os.geteuid() != 0:
        return
    for name, way in ((member.uname, "user"), (member.gname, "group")):
        if name in _OURS:
            try:
                shutil.chown(target, **{way: name})
            except LookupError:  # the service's user is not there yet: the installer gives it its files
                continue
