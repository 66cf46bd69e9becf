"""A system bus of our own: a dbus-daemon on a socket in a folder."""

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.demo import child

VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"
_LONGEST_SOCKET = 100  # of the 108 bytes that the kernel has for the path of one
_STOP_S = 5.0

_CONFIG = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


class NoBusError(Exception):
    """There can be no private bus here. The message says why, and what to do."""


class PrivateBus:
    """As a context: the bus runs, and programs started meanwhile take it for the system's.

    The socket stays at its place, so that ``stop`` and ``start`` are a restart of the daemon.
    """

    def __init__(self, folder: Path) -> None:
        socket = folder / "bus"
        if len(str(socket)) > _LONGEST_SOCKET:
            raise NoBusError(f"{socket} is too long a path for a socket; choose a shorter folder")
        self.address = f"unix:path={socket}"
        self._config = folder / "bus.conf"
        self._process: subprocess.Popen[str] | None = None
        self._before: str | None = None
        self._config.write_text(_CONFIG.format(socket=socket), "utf-8")

    def start(self) -> None:
        """Start the daemon, and return when it listens. It ends with the thread that calls this."""
        program = shutil.which("dbus-daemon")
        if program is None:
            raise NoBusError("dbus-daemon is not installed; apt-get install dbus-daemon")
        command = child.dying(
            program, f"--config-file={self._config}", "--nofork", "--nopidfile", "--print-address=1"
        )
        self._process = subprocess.Popen(  # noqa: S603 - the program found, our own file
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():  # it ended before it listened
            assert self._process.stderr is not None
            why = self._process.stderr.read().strip()
            self.stop()
            raise NoBusError(f"dbus-daemon does not start: {why}")

    def stop(self) -> None:
        """Stop the daemon: everyone on the bus loses it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        self.start()
        self._before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = self.address
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = self._before
