"""What the agent itself does when a command asks for it. None of it reaches further than the agent."""

import logging
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge_agent import __version__
from edge_agent.contract.commands import LogLevelArgs, NoArgs
from edge_agent.settings.model import Config
from edge_agent.status import Status
from edge_agent.uplink.downlink import Carry

_MODEL = Path("/proc/device-tree/model")  # of a board with a device tree, such as a Raspberry Pi


class Own:
    """The commands that need nothing but the agent. ``status`` tells how it does."""

    def __init__(self, config: Config, status: Callable[[], Status]) -> None:
        self._config, self._status = config, status

    def by_name(self) -> Mapping[str, Carry]:
        """Return what carries out each command, by its name."""
        return {"ping": self._ping, "identify": self._identify, "log-level": self._log_level}

    async def _ping(self, _args: NoArgs) -> dict[str, Any]:
        return {"uptime_s": round(self._status().uptime_s, 1)}

    async def _identify(self, _args: NoArgs) -> dict[str, Any]:
        now, gateway = self._status(), self._config.gateway
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


def _board() -> str:
    try:
        return _MODEL.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return ""
