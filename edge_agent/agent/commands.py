"""The commands of the downlink that concern the agent itself. None of them writes to a device."""

import asyncio
import logging
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge_agent import __version__
from edge_agent.bus.serial import BusError
from edge_agent.collect.device import Device
from edge_agent.collect.polling import Polling
from edge_agent.contract.commands import LogLevelArgs, NoArgs, ReadArgs, SetIntervalArgs
from edge_agent.driver import Fault
from edge_agent.fault import fault_text
from edge_agent.settings.model import Config
from edge_agent.status import Status
from edge_agent.uplink.downlink import CannotError, Executor

_READ_WITHIN_S = 30.0
_MODEL = Path("/proc/device-tree/model")  # of a board with a device tree, such as a Raspberry Pi


class AgentCommands:
    """The commands, bound to one agent. ``config`` and ``status`` return those in use now.

    ``asked`` is the polling of each of the ``devices`` that is polled over a line.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        status: Callable[[], Status],
        devices: Mapping[str, Device],
        asked: Mapping[str, Polling],
    ) -> None:
        self._config, self._status = config, status
        self._devices, self._asked = devices, asked

    def by_name(self) -> Mapping[str, Executor]:
        """Return the function that carries out each command, by the command's name."""
        return {
            "ping": self._ping,
            "identify": self.identify,
            "log-level": self._log_level,
            "read": self.read,
            "set-interval": self._set_interval,
        }

    async def _ping(self, _args: NoArgs) -> dict[str, Any]:
        return {"uptime_s": round(self._status().uptime_s, 1)}

    async def identify(self, _args: NoArgs) -> dict[str, Any]:
        """Return what this gateway is: version, board, system, uptime."""
        now, gateway = self._status(), self._config().gateway
        return {
            "version": __version__,
            "name": gateway.name,
            "hostname": platform.node(),
            "board": _board() or platform.machine(),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "uptime_s": round(now.uptime_s, 1),
            "machine_uptime_s": round(time.clock_gettime(time.CLOCK_BOOTTIME), 1),
            "epoch": now.epoch,
            "devices": len(now.devices),
        }

    async def _log_level(self, args: LogLevelArgs) -> dict[str, Any]:
        before = logging.getLogger("edge_agent").getEffectiveLevel()
        logging.getLogger("edge_agent").setLevel(args.level.upper())
        return {"level": args.level, "before": logging.getLevelName(before).lower()}

    def _asking(self, device: str) -> Polling:
        if device not in self._devices:
            raise CannotError(f"there is no device {device}")
        if device not in self._asked:
            raise CannotError(f"{device} is not asked over a line; its state has what it said last")
        return self._asked[device]

    async def read(self, args: ReadArgs) -> dict[str, Any]:
        """Poll a device now, ahead of its interval.

        Raises:
            CannotError: it is not polled over a line, or it does not answer.
        """
        polling = self._asking(args.device)
        try:
            async with asyncio.timeout(_READ_WITHIN_S):
                reading = self._devices[args.device].interpret(await polling.poll_now())
        except TimeoutError:
            raise CannotError(f"{args.device} was not asked within {_READ_WITHIN_S:.0f} s") from None
        except (Fault, BusError) as error:
            raise CannotError(fault_text(error)) from None
        if reading is None:
            raise CannotError(f"{args.device} says nothing that counts")
        return {
            "device": args.device,
            "values": dict(reading.values),
            "quality": {name: [*quality] for name, quality in reading.quality.items()},
        }

    async def _set_interval(self, args: SetIntervalArgs) -> dict[str, Any]:
        polling = self._asking(args.device)
        before = polling.interval
        polling.set_interval(args.interval_s)
        self._devices[args.device].expect_s = self._config().device[args.device].expect or args.interval_s
        return {"device": args.device, "interval_s": args.interval_s, "before_s": before}


def _board() -> str:
    try:
        return _MODEL.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return ""
