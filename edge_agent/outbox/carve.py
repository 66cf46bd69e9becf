"""Find rows of the log in the raw pages of a damaged file, and of its write-ahead log.

Damage to one page of the tree above can hide every row below it from SQLite. The rows lie in leaf pages all
the same, and each carries its checksum: so what is found here and proves intact is a row that was written.
SQLite Database File Format, sections 1.6 (b-tree pages), 2.1 (records), 4.1 (WAL).
"""

from collections.abc import Iterator
from pathlib import Path

from edge_agent.outbox.store import PAGE_SIZE
from edge_agent.row import Row, intact

_LEAF = 0x0D  # a leaf of a table
_LEAF_HEADER = 8
_WAL_HEADER, _FRAME_HEADER = 32, 24
_INTEGER_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # bytes by serial type
_CONSTANTS = {8: 0, 9: 1}
_BLOB = 12  # and up, even
_COLUMNS = 8  # of the log


def carve(path: Path) -> Iterator[Row]:
    """Yield all intact rows of the log, in no order; some more than once."""
    for page in _pages(path):
        if page[0] == _LEAF:
            yield from _rows(page)


def _pages(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            while len(page := file.read(PAGE_SIZE)) == PAGE_SIZE:
                yield page
    wal = path.with_name(path.name + "-wal")
    if wal.exists():
        with wal.open("rb") as file:
            file.seek(_WAL_HEADER)
            while len(frame := file.read(_FRAME_HEADER + PAGE_SIZE)) == _FRAME_HEADER + PAGE_SIZE:
                yield frame[_FRAME_HEADER:]


def _rows(page: bytes) -> Iterator[Row]:
    cells = int.from_bytes(page[3:5])
    for at in range(_LEAF_HEADER, min(_LEAF_HEADER + 2 * cells, PAGE_SIZE - 1), 2):
        try:
            row = _row(page, int.from_bytes(page[at : at + 2]))
        except IndexError:  # it points out of the page
            continue
        if row is not None and intact(row):
            yield row


def _row(page: bytes, at: int) -> Row | None:
    """Read one cell as a row of the log; None where it cannot be one."""
    size, at = _varint(page, at)
    id_, at = _varint(page, at)
    if at + size > PAGE_SIZE:  # damage; or a body so large that it goes on in other pages
        return None
    header, type_at = _varint(page, at)
    value_at = at + header
    values: list[int | bytes] = []
    for _ in range(_COLUMNS):
        kind, type_at = _varint(page, type_at)
        if kind in _INTEGER_SIZES:
            end = value_at + _INTEGER_SIZES[kind]
            values.append(int.from_bytes(page[value_at:end], signed=True))
        elif kind >= _BLOB and kind % 2 == 0:
            end = value_at + (kind - _BLOB) // 2
            values.append(page[value_at:end])
        elif kind in _CONSTANTS or kind == 0:  # 0: NULL, where the id stands, which is the cell's key
            end = value_at
            values.append(_CONSTANTS.get(kind, id_))
        else:
            return None
        value_at = end
    return Row._make(values)


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for length in range(1, 9):
        byte = page[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80 or length == 8:  # noqa: PLR2004 - a ninth byte would be a number that we never write
            break
    return value, at
