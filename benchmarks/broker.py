"""A mosquitto for one benchmark: anybody may come, nothing on disk, every limit as it is installed."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent.demo import mosquitto
from edge_agent.demo.free_port import free_port
from edge_agent.demo.login import Login


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[int]:
    """Run a broker with its files in ``folder``; give its port. It dies with this process."""
    program = mosquitto.find()
    if program is None:
        sys.exit("mosquitto is missing; apt-get install mosquitto")
    port = free_port(0)
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence false", "log_dest none"]
    if os.geteuid() == 0:
        lines.append("user root")
    configuration = folder / "mosquitto.conf"
    configuration.write_text("\n".join([*lines, ""]), "ascii")
    command = (program, "-c", str(configuration))
    served = mosquitto.Mosquitto(
        "mosquitto", command, Login(f"mqtt://127.0.0.1:{port}", "", ""), folder / "mosquitto.log"
    )
    await served.start()
    try:
        yield port
    finally:
        await served.stop()
