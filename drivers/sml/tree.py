"""The encoding of SML messages: each value with its type and length before it. Pure.

SML version 1.04, section 6, binary encoding. The high half of the first byte is the type, of which bit 7
says that another byte of length follows; the low half is the length, with these bytes counted in, or for
a list the number of its elements. 01 is a value that was left out, 00 the end of a message.
"""

from typing import NamedTuple

from edge_agent.driver import Garbled

_TEXT, _BOOL, _INTEGER, _UNSIGNED, _LIST = 0x00, 0x40, 0x50, 0x60, 0x70
_MORE, _TYPE, _SIZE = 0x80, 0x70, 0x0F
_DEEPEST = 8  # levels of lists; meters use 5
_LONGEST_LENGTH = 3  # bytes of type and length
_LONGEST_NUMBER = 8


class Number(NamedTuple):
    """An integer, and how many bytes it was sent in."""

    value: int
    size: int


Node = bytes | bool | Number | None | list["Node"]
"""A value: None where it was left out, or is the end of a message."""


class _Reader:
    """Reads values one after the other from bytes that may be anything."""

    def __init__(self, told: bytes) -> None:
        self._told, self._at = told, 0

    @property
    def rest(self) -> int:
        return len(self._told) - self._at

    def take(self, size: int) -> bytes:
        if size < 0 or size > self.rest:
            raise Garbled(f"a value of {size} bytes, and {self.rest} are left")
        self._at += size
        return self._told[self._at - size : self._at]

    def node(self, depth: int = 0) -> Node:
        kind, length, head = self._head()
        if kind == _LIST:
            if depth == _DEEPEST:
                raise Garbled(f"lists in lists, more than {_DEEPEST} deep")
            if length > self.rest:  # each takes a byte at least
                raise Garbled(f"a list of {length} in {self.rest} bytes")
            return [self.node(depth + 1) for _ in range(length)]
        if kind == _TEXT and length <= 1:
            return None
        body = self.take(length - head)
        if kind == _TEXT:
            return body
        if kind == _BOOL and len(body) == 1:
            return body != b"\x00"
        if kind in {_INTEGER, _UNSIGNED} and 0 < len(body) <= _LONGEST_NUMBER:
            return Number(int.from_bytes(body, "big", signed=kind == _INTEGER), len(body))
        raise Garbled(f"type {kind:02x} with {len(body)} bytes")

    def _head(self) -> tuple[int, int, int]:
        """Return type and length, and how many bytes told them."""
        first = byte = self.take(1)[0]
        length, head = byte & _SIZE, 1
        while byte & _MORE:
            byte = self.take(1)[0]
            length, head = length << 4 | byte & _SIZE, head + 1
            if head > _LONGEST_LENGTH:
                raise Garbled(f"more than {_LONGEST_LENGTH} bytes of length")
        return first & _TYPE, length, head


def read(told: bytes) -> list[Node]:
    """Return the messages of a telegram.

    Raises:
        Garbled: the bytes are none.
    """
    reader, found = _Reader(told), list[Node]()
    while reader.rest:
        node = reader.node()
        if node is not None:  # fill bytes look like the end of one more message
            found.append(node)
    return found
