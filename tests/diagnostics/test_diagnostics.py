"""``edge-agent diagnostics``: what is in it, and that nothing is in it that was a secret."""

import io
import json
import os
import stat
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.diagnostics.pack import pack
from edge_agent.diagnostics.scrub import Scrub
from edge_agent.diagnostics.secrets import MOST_BYTES

PASSWORD, FILED = 'in/the "file" 7Q', "in-the-folder-8R"
KEYS = ("00112233445566778899aabbccddeeff", "A1B2C3D4E5F60718293A4B5C6D7E8F90")
OTHERS = (
    "in-the-url-9S",
    "in-the-env-0T",
    "in-a-comment-1U",
    "said-in-the-log-2V",
    "MIIEvQIBADANBgkqhkiG9w0B",
)

CONFIG = f"""\
config = 1
# the old one was {OTHERS[2]}
gateway = {{ site = "east-park", id = "gw-01" }}
outbox = {{ path = "FOLDER/outbox.db" }}
[uplink.city]
servers = ["mqtt://127.0.0.1:1"]
username = "gw-01"
password = '{PASSWORD}'
[uplink.park]
servers = ["mqtt://127.0.0.1:2"]
username = "gw-01"
password = {{ secret = "park-password" }}
[bus.radio]
ble = "hci0"
[device.hall]
driver = "bthome"
bus = "radio"
settings = {{ address = "A4:C1:38:00:11:22", bindkey = "{KEYS[0]}" }}
"""
LOG = f"""\
INFO uplink city: connected to mqtt://gw-01:{OTHERS[0]}@127.0.0.1:1
INFO it was {PASSWORD}, and {quote(PASSWORD, safe="")} in an address, {json.dumps(PASSWORD)} in JSON
DEBUG bindkey {KEYS[1]} and {":".join(KEYS[0][at : at + 2] for at in range(0, 32, 2))}
DEBUG password = {OTHERS[3]}; {FILED} {OTHERS[1]}
-----BEGIN PRIVATE KEY-----
{OTHERS[4]}
-----END PRIVATE KEY-----
INFO meter-7 late: nothing heard for 60 s
"""


def unpacked(file: Path) -> dict[str, str]:
    with tarfile.open(file) as tar:
        return {
            entry.name.removeprefix("edge-agent/"): (tar.extractfile(entry) or io.BytesIO()).read().decode()
            for entry in tar
        }


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gateway with a secret in every place that people put one."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "park-password").write_text(f"{FILED}\n")
    (tmp_path / "agent.toml").write_text(CONFIG.replace("FOLDER", str(tmp_path)), "utf-8")
    (tmp_path / "agent.log").write_text(LOG, "utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    monkeypatch.setenv("EDGE_AGENT_PASSWORD", OTHERS[1])
    return tmp_path


def gathered(folder: Path, *words: str) -> dict[str, str]:
    target = folder / "it.tar.gz"
    log = ("--log", str(folder / "agent.log"))
    said = CliRunner().invoke(
        app, ["diagnostics", str(target), "-c", str(folder / "agent.toml"), *log, *words]
    )
    assert said.exit_code == 0, said.output
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    return unpacked(target)


def test_no_secret_is_in_it(planted: Path) -> None:
    """Every planted secret was in what is packed, in one form or another, and is in no byte of it."""
    found = gathered(planted, "--offline")
    whole = "\n".join([*found, *found.values()])
    forms = [PASSWORD, quote(PASSWORD, safe=""), json.dumps(PASSWORD)[1:-1], FILED, *OTHERS, *KEYS]
    forms += [":".join(KEYS[0][at : at + 2] for at in range(0, 32, 2))]
    assert [form for form in forms if form.lower() in whole.lower()] == []
    assert "meter-7 late: nothing heard for 60 s" in found["log.txt"]  # and what helps still is


def test_what_helps_is_in_it(planted: Path) -> None:
    found = gathered(planted, "--offline")
    assert set(found) >= {
        "README.txt", "versions.json", "config/agent.toml.json", "doctor.json", "status.json", "log.txt",
        "plan.json", "losses.json",
    }  # fmt: skip
    config = json.loads(found["config/agent.toml.json"])
    assert config["gateway"] == {"site": "east-park", "id": "gw-01"}
    assert config["uplink"]["park"]["password"] == {"secret": "park-password"}
    assert config["uplink"]["city"]["password"] == "(removed)"
    assert config["device"]["hall"]["settings"]["bindkey"] == "(removed)"
    assert "not_there" in json.loads(found["losses.json"])  # no outbox yet, and it says so
    assert {one["level"] for one in json.loads(found["doctor.json"])} <= {"OK", "WARN", "FAIL"}
    for name, text in found.items():
        if name.endswith(".json"):
            json.loads(text)


def test_a_configuration_that_cannot_be_read_is_left_out_whole(planted: Path) -> None:
    (planted / "agent.toml").write_text(f"{CONFIG}\nthis is no TOML {OTHERS[2]}\n", "utf-8")
    found = gathered(planted, "--offline")
    assert "left out" in found["config/agent.toml.json"]
    assert all(OTHERS[2] not in text for text in found.values())


def test_pieces_are_bounded(tmp_path: Path) -> None:
    target = tmp_path / "it.tar.gz"
    pack(target, [("log.txt", "x" * 3 * MOST_BYTES)], Scrub([]), 0.0)
    assert len(unpacked(target)["log.txt"]) == MOST_BYTES


def test_a_short_secret_does_not_eat_words() -> None:
    assert Scrub(["abc"]).text("abc, not abcdef") == "(removed), not abcdef"


def test_it_says_when_it_cannot_be_written(planted: Path) -> None:
    target = planted / "nowhere" / "it.tar.gz"
    said = CliRunner().invoke(
        app, ["diagnostics", str(target), "-c", str(planted / "agent.toml"), "--offline"]
    )
    assert (said.exit_code, "cannot be written" in said.output) == (2, True)


def test_a_pipe_or_a_device_in_conf_d_holds_nothing_up(planted: Path) -> None:
    """The service writes conf.d, and root gathers: a pipe is not read, nor a way out of the secrets."""
    folder = planted / "conf.d"
    folder.mkdir()
    os.mkfifo(folder / "10-pipe.toml")
    (folder / "20-endless.toml").symlink_to("/dev/zero")
    far = planted / "far.txt"
    far.write_text("late: nothing heard")
    (folder / "30-far.toml").write_text(
        f'[device.a]\nsettings = {{ bindkey = {{ secret = "{far}" }} }}\n'
        '[device.b]\nsettings = { bindkey = { secret = "../../../../../../../dev/zero" } }\n',
        "utf-8",
    )
    found = gathered(planted, "--offline")
    assert "is left out" in found["config/10-pipe.toml.json"]
    assert "is left out" in found["config/20-endless.toml.json"]
    assert "late: nothing heard" in found["log.txt"], "no file elsewhere counts as a secret"


def test_one_that_is_there_is_closed_to_others_and_a_link_is_not_followed(planted: Path) -> None:
    (planted / "it.tar.gz").touch(0o644)
    (planted / "it.tar.gz").chmod(0o644)
    gathered(planted, "--offline")
    aim, link = planted / "aim", planted / "link.tar.gz"
    aim.write_text("untouched")
    link.symlink_to(aim)
    words = ["diagnostics", str(link), "-c", str(planted / "agent.toml"), "--offline"]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 2
    assert aim.read_text() == "untouched"
