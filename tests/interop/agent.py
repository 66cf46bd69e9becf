"""The agent in a process of its own, with the demo's park before it: sensors that really speak, on ttys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent.demo import config, park
from edge_agent.demo.login import Login
from edge_agent.event import GATEWAY
from tests.journey.programs import Program, edge_agent, kept


def readings(outbox: Path) -> dict[tuple[str, str], set[int]]:
    """Return the numbers of the readings in an outbox file by device and epoch, without events."""
    return {key: seqs for key, seqs in kept(outbox).items() if key[0] != GATEWAY}


@asynccontextmanager
async def agent(folder: Path, *ports: int, lines: str, user: str = "") -> AsyncIterator[Program]:
    """Run it in a folder, with an uplink to ports of loopback that has these lines."""
    urls = [f"mqtt://127.0.0.1:{port}" for port in ports]
    file = config.write(folder, Login(urls[0], user, "x" if user else ""))
    text = file.read_text("utf-8").replace(f'servers = ["{urls[0]}"]', f"servers = {urls}")
    file.write_text(text.replace('protocol = "auto"', lines), "utf-8")
    environment = {"CREDENTIALS_DIRECTORY": str(config.secrets_folder(folder))}
    async with park.running(folder), edge_agent("run", "--config", str(file), environment=environment) as one:
        yield one
