"""What the README says is true: topics, options, files; test_samples runs its blocks."""

import asyncio
import re
import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.contract.topics import TOPICS
from tests.faults.broker import free_port

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text("utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = _BLOCK.findall(TEXT)


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCKS if found == kind]


def test_the_topics_are_the_contracts() -> None:
    consume = TEXT.partition("## Consume")[2].partition("[docs/contract.md]")[0]
    assert set(re.findall(r"`(\w+)`", consume)) == {topic.name for topic in TOPICS}


def shell_lines() -> list[str]:
    return [line for text in blocks("sh") for line in text.splitlines()]


def test_the_shell_lines_name_files_that_are_there() -> None:
    for line in shell_lines():
        for word in shlex.split(line)[1:]:
            if "/" in word and "://" not in word and not word.startswith(("/", "-", "park/")):
                assert (ROOT / word).is_file(), f"README.md: {line}: {word} is not there"


def test_the_commands_of_the_demo_are_its_own() -> None:
    known = CliRunner().invoke(app, ["demo", "--help"], env={"COLUMNS": "200"}).output
    for option in re.findall(r"--[a-z]+", " ".join(re.findall(r"demo (?:ARGS=\")?(--.*?)[\"`]", TEXT))):
        assert option in known


def test_the_tree_is_as_shown() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    tree = next(text for found, text in _BLOCK.findall(page) if found == "text")
    assert [line for line in tree.splitlines() if not (ROOT / line.split()[0]).is_dir()] == []


@pytest.mark.parametrize(("heading", "page"), [("Promise", "reliability"), ("What it costs", "performance")])
def test_the_figures_are_those_of_the_pages_with_the_measurements(heading: str, page: str) -> None:
    part = TEXT.partition("## Promised and measured")[2].partition(heading)[2].partition("\n\n**")[0]
    if page == "reliability":
        part = "".join(line.split("|")[2] for line in part.partition("\n\n")[0].splitlines()[2:])
    measured = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    figures = [figure for figure in re.findall(r"(?<!\w)\d[\d,.]*\d", part) if "%" not in figure]
    assert len(figures) > 6
    stale = [figure for figure in figures if figure not in measured]
    assert stale == [], f"README.md: write the figures that docs/{page}.md has now"


@asynccontextmanager
async def started(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """A broker that takes anybody, as Debian's mosquitto does on this machine."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        pytest.fail("mosquitto is missing; run make test as root, or apt-get install mosquitto")
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", "utf-8")
    async with started(program, "-c", str(config)) as broker, asyncio.timeout(60):
        assert broker.stdout is not None
        while b" running" not in await broker.stdout.readline():
            pass
        yield port


async def test_the_subscriber_gets_what_the_demo_sends(port: int) -> None:
    (line,) = [line for line in shell_lines() if line.startswith("mosquitto_sub")]
    witness = [str(port) if word == "1883" else word for word in shlex.split(line)]
    demo = (sys.executable, "-c", "from edge_agent.cli import main; main()", "demo", "--json", "--for", "6s")
    async with asyncio.timeout(90), started(*witness, "-C", "2") as watching:
        async with started(*demo, "--broker", f"mqtt://127.0.0.1:{port}") as showing:
            await showing.communicate()
        heard, _ = await watching.communicate()
        assert b"/data/" in heard
