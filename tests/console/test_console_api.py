"""``/api`` answers what its document says, whatever is asked: schemathesis looks for what it does not."""

import asyncio
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge_agent.console import openapi, users
from edge_agent.console.answers import ANSWERS
from edge_agent.console.api import OPERATIONS
from tests.console.browser import Browser
from tests.console.rig import PASSWORD, console, runs

ROOT = Path(__file__).parents[2]
_SHORT = "import edge_agent.console.live as live; live._LONGEST_S = 0.0"
"""Done in the agent's process, so that what is told live ends at once: a program waits for the end."""


def closed(schema: Any) -> Any:
    """Return a document with which a key that it does not name is wrong, too."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    told = {key: closed(one) for key, one in schema.items()}
    if isinstance(told.get("properties"), dict):
        told["additionalProperties"] = False
    return told


def judged() -> dict[str, Any]:
    """Return the document with a device that there is, and no key allowed that it does not name."""
    told: dict[str, Any] = closed(openapi.document())
    for path in told["paths"].values():
        for parameter in path["get"]["parameters"]:
            if parameter["in"] == "path":
                parameter["schema"]["examples"] = ["air"]
    return told


async def schemathesis(
    folder: Path, document: dict[str, Any], browser: Browser, *words: str
) -> tuple[int, str]:
    """Have it try as who is logged in, each time the same; return its exit code and what it found."""
    file = folder / "openapi.json"
    file.write_text(json.dumps(document), "utf-8")
    program = Path(sys.executable).with_name("schemathesis")
    if not program.exists():
        pytest.fail("schemathesis is missing; run make install")
    cookie = "; ".join(f"{one.name}={one.value}" for one in browser.cookies)
    asked = await asyncio.create_subprocess_exec(
        program, "run", file, f"--url={browser.base}", f"--header=Cookie: {cookie}", "--checks=all",
        "--generation-deterministic", "--max-examples=8", "--request-timeout=60", "--no-color",
        "--warnings=off", *words, cwd=folder,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = await asked.communicate()
    finally:
        if asked.returncode is None:
            asked.kill()
            await asked.wait()
    assert asked.returncode is not None
    return asked.returncode, said.decode()


async def test_schemathesis_finds_nothing_and_can_find_something(tmp_path: Path) -> None:
    async with console(tmp_path, before=_SHORT) as browser:
        await browser.log_in(PASSWORD)
        code, said = await schemathesis(tmp_path, judged(), browser, "--phases=examples,coverage,fuzzing")
        assert code == 0, said
        assert f"{len(OPERATIONS)} selected" in said
        seeded = judged()
        seeded["components"]["schemas"]["Status"]["properties"]["wrong"] = {"type": "integer"}
        code, said = await schemathesis(
            tmp_path, seeded, browser, "--phases=fuzzing", "--include-path=/api/status"
        )
        assert code == 1, said
        assert 'is not of type "integer"' in said


async def test_each_answer_is_all_that_the_document_says_and_no_more(tmp_path: Path) -> None:
    """schemathesis lets keys pass that the document does not name."""
    document = judged()
    async with console(tmp_path, before=_SHORT) as browser:
        stranger = Browser(browser.base)
        await browser.log_in(PASSWORD)
        await runs(browser, "air")
        for path, told in document["paths"].items():
            at = path.replace("{id}", "air")
            answer = await browser.get(at)
            (media, said), *_ = told["get"]["responses"]["200"]["content"].items()
            assert answer.status == 200
            assert answer.headers["content-type"].split(";")[0] == media
            if media == "application/json":
                judge = Draft202012Validator(document | said["schema"])
                assert [error.message for error in judge.iter_errors(answer.json)] == [], path
            head = await browser.get(at, method="HEAD")
            assert (head.status, head.text) == (200, "")
            other = await browser.get(at, method="DELETE")
            assert (other.status, other.headers["allow"]) == (405, "GET, HEAD")
            assert "only GET" in other.json["error"]
            unknown = await browser.get(f"{at}?colour=red")
            assert (unknown.status, "colour" in unknown.json["error"]) == (400, True)
            assert (await stranger.get(at)).status == 401
        assert "event: over" in (await browser.get("/api/live")).text, "its time is over"
        for path in ("/api/device/water/past", "/api/live?device=water", "/api/device/water", "/api/"):
            assert "/api/status names" in (await browser.get(path)).json["error"], path
        twice = await browser.get("/api/device/air/past?length=1h&length=1h")
        assert (twice.status, twice.json["error"]) == (400, "a parameter stands there twice")


async def test_a_shell_reads_it_as_the_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "console.md").read_text("utf-8")
    (said,) = re.findall(r"```sh\n(curl.*?)```", page, re.DOTALL)
    if shutil.which("curl") is None:
        pytest.fail("curl is missing; run make test as root, or apt-get install curl")
    async with console(tmp_path) as browser:
        users.set_password(tmp_path / "console.json", "reports", PASSWORD, "viewer")
        (tmp_path / "password").write_text(PASSWORD, "utf-8")
        asked = await asyncio.create_subprocess_exec(
            "/bin/sh", "-ec", said.replace("http://127.0.0.1:8080", browser.base),
            stdout=asyncio.subprocess.PIPE, cwd=tmp_path,
        )  # fmt: skip
        told, _ = await asked.communicate()
        assert json.loads(told)["gateway"] == "gw-01"


def test_the_document_is_kept_as_it_is_made() -> None:
    assert (ROOT / "docs/api/openapi.json").read_text("utf-8") == openapi.text(), "run `make pages`"


def test_the_page_about_it_names_each_path() -> None:
    page = (ROOT / "docs" / "console.md").read_text("utf-8")
    assert [one.path for one in OPERATIONS if f"`{one.path}`" not in page] == []


def test_all_of_it_is_in_the_document() -> None:
    """A path of /api that is no operation would be asked for without its limits."""
    assert set(ANSWERS) <= {one.name for one in OPERATIONS}
    own = re.compile(r"""Route\(\s*f?["']/api""")
    modules = sorted((ROOT / "edge_agent" / "console").glob("*.py"))
    assert [file.name for file in modules if own.search(file.read_text("utf-8"))] == []
