"""What the README says is true: its blocks run or parse, its files and links are there."""

import asyncio
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.contract.topics import TOPICS
from edge_agent.settings.load import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if path.name != "LICENSE"
)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = _BLOCK.findall(TEXT)
KINDS = {"sh", "toml", "console", "text"}


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCKS if found == kind]


def test_every_block_has_a_test() -> None:
    assert {kind for kind, _ in BLOCKS} == KINDS
    assert TEXT.count("```") == 2 * len(BLOCKS)


@pytest.fixture
def placed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (config,) = blocks("toml")
    (tmp_path / "agent.toml").write_text(config, "utf-8")
    return tmp_path


def test_the_configuration_can_be_used(placed: Path) -> None:
    assert load(placed / "agent.toml").device["meter-7"].interval == 10


CONSOLE = [part for text in blocks("console") for part in re.split(r"(?m)^\$ ", text) if part]


@pytest.mark.parametrize("block", CONSOLE, ids=lambda block: " ".join(block.split()[1:3]))
def test_a_command_says_what_is_shown(block: str, placed: Path) -> None:
    """The configuration has the two mistakes that the page shows the remedy for."""
    config = placed / "agent.toml"
    config.write_text(
        config.read_text("utf-8").replace("eastron_sdm120", "eastron_sdm12").replace('"10s"', '"10"')
    )
    command, _, expected = block.partition("\n")
    program, *arguments = shlex.split(command)
    assert program == "edge-agent"
    assert CliRunner().invoke(app, arguments).output == expected


def test_the_topics_are_the_contracts() -> None:
    consume = TEXT.partition("## Consume")[2].partition("[docs/contract.md]")[0]
    assert set(re.findall(r"`(\w+)`", consume)) == {topic.name for topic in TOPICS}


def shell_lines() -> list[str]:
    return [line for text in blocks("sh") for line in text.splitlines()]


def test_the_shell_lines_name_what_is_there() -> None:
    parsed = subprocess.run(
        ["/bin/sh", "-n"], input="\n".join(shell_lines()), text=True, check=False, timeout=10
    )
    assert parsed.returncode == 0
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for line in shell_lines():
        first, *rest = shlex.split(line)
        if first == "make":
            assert rest[0] in targets
        for word in rest:
            if "/" in word and "://" not in word and not word.startswith(("/", "-", "park/")):
                assert (ROOT / word).is_file(), f"README.md: {line}: {word} is not there"


def test_the_commands_of_the_demo_are_its_own() -> None:
    known = CliRunner().invoke(app, ["demo", "--help"], env={"COLUMNS": "200"}).output
    for option in re.findall(r"--[a-z]+", " ".join(re.findall(r"demo (?:ARGS=\")?(--.*?)[\"`]", TEXT))):
        assert option in known


def test_the_tree_is_as_shown() -> None:
    (tree,) = blocks("text")
    assert [line for line in tree.splitlines() if not (ROOT / line.split()[0]).is_dir()] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text("utf-8"))
    here = (ROOT / page).parent
    assert [link for link in links if "://" not in link and not (here / link).exists()] == []


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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", "utf-8")
    async with started(program, "-c", str(config)) as broker, asyncio.timeout(20):
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
