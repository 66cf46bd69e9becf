"""The agent in a process of its own, with the demo's park before it: sensors that really speak, on ttys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent.demo import config, park
from edge_agent.demo.login import Login
from tests.journey.programs import Program, edge_agent


@asynccontextmanager
async def agent(folder: Path, port: int, lines: str, user: str = "") -> AsyncIterator[Program]:
    """Run it in a folder, with an uplink to a port of loopback that has these lines."""
    file = config.write(folder, Login(f"mqtt://127.0.0.1:{port}", user, "x" if user else ""))
    text = file.read_text("utf-8")
    file.write_text(text.replace('protocol = "auto"', lines), "utf-8")
    environment = {"CREDENTIALS_DIRECTORY": str(config.secrets_folder(folder))}
    async with park.running(folder), edge_agent("run", "--config", str(file), environment=environment) as one:
        yield one
