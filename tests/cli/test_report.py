"""``edge-agent report`` of an agent that runs: what a customer gets to keep."""

import asyncio
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli.running import config, port, running
from tests.cli.verb import verb

__all__ = ["port"]  # the fixture

NASTY = "<script>alert(1)</script>"


class Cells(HTMLParser):
    """The text of each cell, and the tags that there are."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onload"}, "it loads nothing"
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


async def test_a_page_for_the_customer(port: Path, tmp_path: Path) -> None:
    file = config(tmp_path, port, f"name = '{NASTY}'")
    async with running(file) as place:
        await _reads(place)
        out = tmp_path / "report.html"
        said = await verb("report", "-c", str(file), "--socket", str(place), "-o", str(out), "--by", "Li Wei")
    assert said.code == 0, said
    page = Cells()
    page.feed(out.read_text("utf-8"))
    assert "script" not in page.tags
    assert ["Installed by", "Li Wei"] in page.rows
    (device,) = [row for row in page.rows if row[0] == "air" and NASTY in row]
    assert (device[2], device[4:6]) == ("hall-b", ["cabinet, address 7", "online"])
    assert device[3].startswith("XY-MD02")
    assert ["air", "temperature", "30.5 \N{DEGREE SIGN}C", "good"] in page.rows


async def _reads(place: Path) -> None:
    """Wait until the device has said something."""
    async with asyncio.timeout(60):
        while not json.loads((await verb("status", "--json", "--socket", str(place))).out)["kept"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)


@pytest.mark.usefixtures("port")
async def test_without_an_agent_it_says_so(tmp_path: Path) -> None:
    file = config(tmp_path, tmp_path / "near")
    said = await verb("report", "-c", str(file), "--socket", str(tmp_path / "nothing.sock"))
    assert said.code == 2
    assert "no agent runs here" in said.err
