"""A serial server that can be told speed and format: RFC 2217, "Telnet Com Port Control Option".

Telnet commands (RFC 854) stand in the stream behind the byte FF; FF itself is sent twice:

    FF FB..FE O                  will, won't, do, don't an option O
    FF FA 2C C V.. FF F0         com port option: command C with a value; the server's answer has C + 100
"""

import asyncio
import os
import re

from edge_agent.bus.address import Address
from edge_agent.bus.serial import BusError, SerialFormat
from edge_agent.bus.tcp import Socket, open_socket

AGREE_LIMIT = 5.0  # seconds for the server to agree to speed and format
_MOST_HELD = 256  # bytes of a command that is not whole

_IAC, _DONT, _DO, _WONT, _WILL, _SB, _SE = 255, 254, 253, 252, 251, 250, 240
_BINARY, _NO_GO_AHEAD, _COM_PORT = 0, 3, 44
_BAUD, _DATA_BITS, _PARITY, _STOP_BITS, _CONTROL = 1, 2, 3, 4, 5
_NAMES = {_BAUD: "speed", _DATA_BITS: "data bits", _PARITY: "parity", _STOP_BITS: "stop bits"}
_PARITIES = {"N": 1, "O": 2, "E": 3}
_NO_FLOW_CONTROL = 1
_ANSWERED = 100  # added to a command by the server
_WE_DO = {_BINARY, _NO_GO_AHEAD, _COM_PORT}
_THEY_MAY = {_BINARY, _NO_GO_AHEAD}
_NEGOTIATION = 3  # bytes: FF, verb, option
_COMMANDS = re.compile(
    rb"\xff(?:(?P<data>\xff)|(?P<verb>[\xfb-\xfe])(?P<option>.)"
    rb"|\xfa(?P<sub>(?:[^\xff]|\xff\xff)*)\xff\xf0|[\xf0-\xf9])",
    re.DOTALL,
)


class Telnet:
    """An open connection to such a server. The medium of a ``ByteStream``.

    ``agreed`` is done when the server has taken all that was asked, or has failed with a BusError.
    """

    def __init__(self, port: str, connected: Socket, serial_format: SerialFormat) -> None:
        self.descriptor = connected.descriptor
        self.agreed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._port, self._socket = port, connected
        self._held = b""
        self._told = {(_WILL, option) for option in _WE_DO} | {(_DO, option) for option in _THEY_MAY}
        self._wanted = {
            _BAUD: serial_format.baud,
            _DATA_BITS: serial_format.data_bits,
            _PARITY: _PARITIES[serial_format.parity],
            _STOP_BITS: serial_format.stop_bits,
        }
        self._open = set(self._wanted)  # asked, and not answered yet
        self._say(b"".join(bytes([_IAC, verb, option]) for verb, option in sorted(self._told)))

    def read(self) -> bytes:
        """Return the bytes of the line in what has arrived; no bytes when the server has closed."""
        arrived = self._socket.read()
        if not arrived:
            return b""
        heard = self.decode(arrived)
        if not heard:
            raise BlockingIOError
        return heard

    def decode(self, arrived: bytes) -> bytes:
        """Take the telnet commands out of a piece of the stream, and act on them.

        Raises:
            OSError: the server does not do what was asked.
        """
        stream, self._held = self._held + arrived, b""
        line, at = bytearray(), 0
        while at < len(stream):
            begin = stream.find(_IAC, at)
            if begin < 0:
                line += stream[at:]
                break
            line += stream[at:begin]
            found = _COMMANDS.match(stream, begin)
            if found is None:
                if len(stream) - begin > _MOST_HELD:
                    raise OSError("it does not speak telnet")
                self._held = stream[begin:]
                break
            at = found.end()
            if found["data"]:
                line += found["data"]
            elif found["verb"]:
                self._negotiate(found["verb"][0], found["option"][0])
            elif found["sub"]:
                self._answered(found["sub"].replace(b"\xff\xff", b"\xff"))
        return bytes(line)

    def _negotiate(self, verb: int, option: int) -> None:
        if option == _COM_PORT and verb in {_DONT, _WONT}:
            raise OSError("it does not speak RFC 2217; use socket:// and set speed and format at the server")
        if (verb, option) == (_DO, _COM_PORT):
            for command, value in self._wanted.items():
                self._command(command, value)
            self._command(_CONTROL, _NO_FLOW_CONTROL)
        if verb == _WILL:
            answer = _DO if option in _THEY_MAY else _DONT
        elif verb == _DO:
            answer = _WILL if option in _WE_DO else _WONT
        else:
            return
        if (
            answer,
            option,
        ) not in self._told:  # each is said once, so that two who disagree do not talk for ever
            self._told.add((answer, option))
            self._say(bytes([_IAC, answer, option]))

    def _answered(self, sub: bytes) -> None:
        if len(sub) < _NEGOTIATION or sub[0] != _COM_PORT:
            return
        command, value = sub[1] - _ANSWERED, int.from_bytes(sub[2:], "big")
        if command not in self._open:
            return
        if value != self._wanted[command]:
            raise OSError(
                f"it does not take the {_NAMES[command]} of this bus; set serial to what the "
                "server's port can do"
            )
        self._open.discard(command)
        if not self._open and not self.agreed.done():
            self.agreed.set_result(None)

    def _command(self, command: int, value: int) -> None:
        size = 4 if command == _BAUD else 1
        escaped = self.encode(value.to_bytes(size, "big"))
        self._say(bytes([_IAC, _SB, _COM_PORT, command]) + escaped + bytes([_IAC, _SE]))

    def _say(self, command: bytes) -> None:
        if os.write(self.descriptor, command) < len(command):
            raise OSError("it takes no bytes")

    def encode(self, sent: bytes) -> bytes:
        """Return what goes to the descriptor for bytes that are sent."""
        return sent.replace(b"\xff", b"\xff\xff")

    def set_speed(self, speed: int) -> None:
        """Change the speed for what is sent from now on; a server that does not is lost when it says so."""
        self._wanted[_BAUD] = speed
        self._open.add(_BAUD)
        try:
            self._command(_BAUD, speed)
        except OSError as error:
            raise ValueError(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


async def open_rfc2217(address: Address, serial_format: SerialFormat) -> Telnet:
    """Connect, and have the server set speed and format.

    Raises:
        BusError: there is no connection, or the server does not agree; the message says why.
    """
    connected = await open_socket(address)
    loop = asyncio.get_running_loop()
    try:
        made = Telnet(address.text, connected, serial_format)
        loop.add_reader(made.descriptor, _hear, made)
        async with asyncio.timeout(AGREE_LIMIT):
            await made.agreed
    except TimeoutError:
        reason = (
            f"it says nothing about speed and format within {AGREE_LIMIT:g} s; if it is no RFC 2217 server, "
            "use socket://"
        )
    except OSError as error:
        reason = str(error)
    except BaseException:
        loop.remove_reader(connected.descriptor)
        connected.close()
        raise
    else:
        loop.remove_reader(made.descriptor)
        return made
    loop.remove_reader(connected.descriptor)
    connected.close()
    raise BusError(f"{address.text} cannot be used ({reason})")


def _hear(opening: Telnet) -> None:
    try:
        if not opening.read() and not opening.agreed.done():
            opening.agreed.set_exception(OSError("it closed the connection"))
    except BlockingIOError:
        return
    except OSError as error:
        if not opening.agreed.done():
            opening.agreed.set_exception(error)
