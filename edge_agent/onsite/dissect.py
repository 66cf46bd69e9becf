"""Tell the frames in what passes on a port, whoever they are from. No I/O.

A serial line does not say who speaks. So every kind of frame that is known looks at the bytes: what
devices say unasked, and what another master asks and is answered. What nobody knows is the rest.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from edge_agent.bus.modbus import answer_cut, crc16, parse, read_request
from edge_agent.driver import Driver, Fault, Frame, Garbled, Need, Read, Refused, Settings, Skip
from edge_agent.fault import fault_text
from edge_agent.reading import Value

_MOST_HELD = 4096  # bytes of a frame that is not whole yet
_MOST_REST = 64  # bytes of the rest in one line
_READS, _ONE_WRITES, _MORE_WRITES = range(1, 5), (5, 6), (15, 16)
_REQUEST = 8  # bytes of a request to read, and to write one; MODBUS Application Protocol V1.1b3, 6.1 to 6.6
_EXCEPTION, _EXCEPTION_SIZE = 0x80, 5
_AROUND = 5  # bytes of an answer around its data
_WRITE_HEAD, _CRC = 7, 2


@dataclass(frozen=True, slots=True)
class Passed:
    """A frame, by whom it is told (a driver's name, ``modbus``, or "" for the rest), and what it means."""

    content: bytes
    who: str = ""
    text: str = ""
    samples: Mapping[str, tuple[Value | None, str]] = field(default_factory=dict)


class Known(Protocol):
    """A kind of frame. ``told`` returns None for what is no frame of this kind after all."""

    def cut(self, heard: bytes) -> Frame | Need | Skip:
        """Find a frame in the bytes so far."""

    def passed(self, frame: bytes) -> Passed | None:
        """Say what a frame means."""


class Dissector:
    """Takes bytes and returns what they are, in order. Holds no more than a few kilobytes."""

    def __init__(self, known: Sequence[Known]) -> None:
        self._known = known
        self._clear = [0] * len(known)  # up to which byte of all each has found nothing of its own
        self._taken = 0  # bytes of all that are not held any more
        self._held = bytearray()
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[Passed]:
        """Take more bytes."""
        self._held += piece
        yield from self._take(quiet=False)

    def quiet(self) -> Iterator[Passed]:
        """Take note that nothing comes: what waits for its end will not get it."""
        yield from self._take(quiet=True)
        yield from self._flush()

    def _take(self, *, quiet: bool) -> Iterator[Passed]:
        while self._held:
            passed, skip = self._look(quiet=quiet or len(self._held) >= _MOST_HELD)
            if passed is not None:
                yield from self._flush()
                self._drop(len(passed.content))
                yield passed
                continue
            if not skip:
                return
            self._rest += self._held[:skip]
            self._drop(skip)
            while len(self._rest) >= _MOST_REST:
                yield Passed(bytes(self._rest[:_MOST_REST]))
                del self._rest[:_MOST_REST]

    def _drop(self, size: int) -> None:
        del self._held[:size]
        self._taken += size

    def _look(self, *, quiet: bool) -> tuple[Passed | None, int]:
        """Return a frame that begins here, or how many bytes belong to none; 0: it cannot be told yet."""
        heard = bytes(self._held)
        skip = len(heard)
        for number, known in enumerate(self._known):
            ahead = self._clear[number] - self._taken
            if ahead > 0:
                skip = min(skip, ahead)
                continue
            match known.cut(heard):
                case Frame(size) if passed := known.passed(heard[:size]):
                    return passed, 0
                case Need() if not quiet:
                    skip = 0
                case Skip(size):
                    self._clear[number] = self._taken + size
                    skip = min(skip, size)
                case _:
                    skip = min(skip, 1)
        return None, skip

    def _flush(self) -> Iterator[Passed]:
        if self._rest:
            yield Passed(bytes(self._rest))
            self._rest.clear()


class Unasked:
    """What a device says that speaks unasked. ``alone``: its damaged frames are shown, too."""

    def __init__(self, name: str, driver: Driver[Any], settings: Settings, *, alone: bool) -> None:
        assert driver.cut is not None
        self.cut = driver.cut
        self._name, self._alone = name, alone
        self._device: Any = driver.open(settings)

    def passed(self, frame: bytes) -> Passed | None:
        """Decode a frame."""
        try:
            return _decoded(self._name, self._device, frame, self._device.decode(frame))
        except Garbled as fault:
            return Passed(frame, self._name, f"Garbled: {fault}") if self._alone else None
        except Fault as fault:
            return Passed(frame, self._name, fault_text(fault))


class Asked:
    """What passes between another master and devices that answer over a line, as their driver knows it."""

    def __init__(self, name: str, driver: Driver[Any]) -> None:
        assert driver.cut is not None
        self.cut = driver.cut
        self._name, self._driver = name, driver
        self._before = b""

    def passed(self, frame: bytes) -> Passed:
        """Decode an answer with the frame before it; anything else is shown as it is."""
        request, self._before = self._before, frame
        overheard = self._driver.probe.overheard if self._driver.probe else None
        for settings in overheard(request, frame) if overheard else ():
            try:
                device: Any = self._driver.open(settings)
                samples = device.decode(frame, request)
            except (Fault, ValueError):
                continue
            if samples:
                who = f"{self._name} {getattr(settings, 'address', '')}".rstrip()
                return _decoded(who, device, frame, samples)
        return Passed(frame, self._name, "a request, or an answer that says nothing by itself")


class Modbus:
    """What passes between another Modbus master and its units: questions, answers, refusals, and writes."""

    def __init__(self) -> None:
        self._question: Read | None = None

    def cut(self, heard: bytes) -> Frame | Need | Skip:
        """Find a frame: only its checksum tells, so every size it may have is tried."""
        if self._question is not None:
            move = answer_cut(self._question)(heard)
            if isinstance(move, Frame):
                return move
        if len(heard) < _CRC:
            return Need(_CRC)
        sizes = _sizes(heard)
        for size in sizes:
            if len(heard) >= size and not crc16(heard[:size]):
                return Frame(size)
        longer = [size for size in sizes if size > len(heard)]
        return Need(min(longer)) if longer else Skip(1)

    def passed(self, frame: bytes) -> Passed:
        """Say who is asked for what, or what was answered."""
        question, self._question = self._question, None
        unit, function = frame[0], frame[1]
        if question is not None and unit == question.unit:
            try:
                words = parse(question, frame)
            except Refused as refusal:
                return Passed(frame, "modbus", str(refusal))
            except Garbled:
                pass
            else:
                where = f"{question.table} from {question.start}"
                return Passed(frame, "modbus", f"unit {unit} answers, {where}: {words.hex(' ', 2)}")
        try:
            self._question = asked = read_request(frame)
        except Garbled:
            return Passed(frame, "modbus", f"unit {unit}, function {function}")
        return Passed(
            frame, "modbus", f"unit {unit} is asked for {asked.count} of {asked.table} from {asked.start}"
        )


def _sizes(heard: bytes) -> list[int]:
    """Return how long a Modbus frame that begins like this may be."""
    function = heard[1]
    if function & _EXCEPTION:
        return [_EXCEPTION_SIZE] if function & ~_EXCEPTION in {*_READS, *_ONE_WRITES, *_MORE_WRITES} else []
    if function in _ONE_WRITES:
        return [_REQUEST]
    if function in _READS:
        return [_REQUEST, *([heard[2] + _AROUND] if heard[2:3] else [])]
    if function in _MORE_WRITES:
        sizes = [heard[_WRITE_HEAD - 1] + _WRITE_HEAD + _CRC] if len(heard) >= _WRITE_HEAD else [_WRITE_HEAD]
        return [_REQUEST, *sizes]
    return []


def _decoded(who: str, device: Any, frame: bytes, samples: Any) -> Passed:
    units = {channel.name: channel.quantity.unit for channel in device.channels}
    return Passed(frame, who, "", {name: (value, units[name]) for name, value in samples})
