"""``edge-agent decode`` on frames that are right, damaged, or given wrongly."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edge_agent import registry
from edge_agent.cli.decode import decode
from edge_agent.driver import (
    Advertisement,
    Channel,
    Driver,
    Frame,
    Garbled,
    Line,
    NotMine,
    Over,
    Quantity,
    Sample,
    Settings,
)

RADAR = "F4 F3 F2 F1 0D 00 02 AA 02 51 00 00 00 00 3B 00 00 55 00 F8 F7 F6 F5"
ASKED, ANSWERED = "01 04 00 01 00 01 60 0A", "01 04 02 01 31 79 74"
METER = ("modbus", "--set", "profile=xy_md02")
WARM = {"samples": {"temperature": {"value": 30.5, "unit": "Cel"}}}

app = typer.Typer()
app.command()(decode)


def run(*words: str) -> tuple[int, Any]:
    """Run the verb; return its exit code and what it printed: one JSON object, or a message."""
    result = CliRunner().invoke(app, words)
    if result.exit_code == 2:
        assert result.stdout == ""
        return 2, result.stderr
    assert result.stderr == ""
    (line,) = result.stdout.splitlines()
    return result.exit_code, json.loads(line)


def test_a_frame_of_a_talker() -> None:
    code, said = run("ld2410", "--frame", RADAR)
    assert code == 0
    assert said["samples"]["moving_distance"] == {"value": 0.81, "unit": "m"}
    assert said["samples"]["occupancy"] == {"value": True, "unit": "1"}
    assert next(iter(said["samples"])) == "target_state"
    assert len(said["samples"]) == 7


@pytest.mark.parametrize(
    "text",
    [RADAR.lower(), RADAR.replace(" ", ":"), RADAR.replace(" ", ""), f" {RADAR}\n", f"00 FF F4 {RADAR}"],
)
def test_hex_in_any_form_and_garbage_around(text: str) -> None:
    assert run("ld2410", "--frame", text) == run("ld2410", "--frame", RADAR)


def test_what_is_not_looked_at_is_counted() -> None:
    code, said = run("ld2410", "--frame", f"00 FF F4 {RADAR} {RADAR} 01")
    assert (code, said["bytes_after"]) == (0, 24)
    code, said = run(*METER, "--request", ASKED, "--response", f"{ANSWERED} 00 00")
    assert (code, said) == (0, WARM | {"bytes_after": 2})


def test_an_answer_about_no_channel_is_no_success() -> None:
    code, said = run(*METER, "--request", "01 04 00 40 00 01 30 1E", "--response", ANSWERED)
    assert (code, said["samples"]) == (1, {})
    assert said["note"] == "none of the channels lies in what was asked"


def test_a_question_and_its_answer() -> None:
    assert run(*METER, "--set", "address=1", "--request", ASKED, "--response", ANSWERED) == (0, WARM)


def test_the_address_comes_from_the_question() -> None:
    assert run(*METER, "--request", ASKED, "--response", ANSWERED) == (0, WARM)
    pzem = "F8 04 14 08 D3 00 23 00 00 00 05 00 00 00 02 00 00 01 F5 00 06 00 00 F8 BE"
    code, said = run(
        "modbus", "--set", "profile=pzem_004t_v3", "--request", "F8 04 00 00 00 0A 64 64", "--response", pzem
    )
    assert code == 0
    assert said["samples"]["energy_import"] == {"value": 0.002, "unit": "kW.h"}


def test_noise_before_an_answer() -> None:
    assert run(*METER, "--request", ASKED, "--response", f"00 01 {ANSWERED}") == (0, WARM)


def test_settings_are_read_as_in_a_configuration_file() -> None:
    frame = (
        "F4 F3 F2 F1 23 00 01 AA 00 1E 00 00 1E 00 0D 00 00 08 08 13 0E 07 02 05 07 03 04 05 "
        "00 00 0D 06 05 05 05 05 05 62 00 55 00 F8 F7 F6 F5"
    )
    assert len(run("ld2410", "--set", "engineering=true", "--frame", frame)[1]["samples"]) == 25
    assert len(run("ld2410", "--set", "engineering = false", "--frame", frame)[1]["samples"]) == 7
    assert run(*METER, "--set", 'profile="xy_md02"', "--request", ASKED, "--response", ANSWERED) == (0, WARM)


@pytest.mark.parametrize(
    ("words", "fault", "reason"),
    [
        (("ld2410", "--frame", RADAR[:-2] + "F4"), "Garbled", "ends with"),
        (("ld2410", "--frame", RADAR[:20]), "Garbled", "too short"),
        (("ld2410", "--frame", ""), "Garbled", "begins with nothing"),
        (("ld2410", "--frame", RADAR.replace("AA 02", "AA 09")), "Implausible", "target state 9"),
        (("ld2410", "--frame", "FD FC FB FA 04 00 FE 01 00 00 04 03 02 01"), "NotMine", "not a report"),
        ((*METER, "--request", ASKED, "--response", "01 84 02 C2 C1"), "Refused", "no such register"),
        ((*METER, "--request", ASKED, "--response", "01 04 02 01 31 79 75"), "Garbled", "checksum"),
        ((*METER, "--request", ASKED, "--response", ""), "Garbled", "0 bytes"),
        ((*METER, "--request", "01 04 00 01", "--response", ANSWERED), "Garbled", "request"),
    ],
)
def test_a_fault_is_named(words: tuple[str, ...], fault: str, reason: str) -> None:
    code, said = run(*words)
    assert code == 1
    assert said["fault"] == fault
    assert reason in said["reason"]
    assert said.keys() == {"fault", "reason"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ld2410b", "--frame", RADAR), "there is no driver 'ld2410b'; did you mean ld2410"),
        (("ld2410", "--frame", "F4 F"), "--frame 'F4 F' is not hex; give two hex digits a byte"),
        (("ld2410", "--frame", "zz"), "is not hex"),
        (("ld2410",), "driver ld2410 decodes what is given with --frame HEX, and nothing else; give that"),
        (("ld2410", "--request", ASKED, "--response", ANSWERED), "--frame HEX"),
        (("ld2410", "--frame", RADAR, "--service-data", "FCD2=44"), "--frame HEX, and nothing else"),
        (("ld2410", "--frame", RADAR, "--address", "A4:C1:38:00:00:01"), "--frame HEX, and nothing else"),
        ((*METER, "--frame", ANSWERED), "--request HEX and --response HEX"),
        ((*METER, "--request", ASKED), "--request HEX and --response HEX"),
        (
            ("ld2410", "--set", "enginering=true", "--frame", RADAR),
            "no setting 'enginering'; there are: engineering",
        ),
        (("ld2410", "--set", "engineering=perhaps", "--frame", RADAR), "setting 'engineering', 'perhaps': "),
        (("ld2410", "--set", "engineering", "--frame", RADAR), "--set 'engineering' is not KEY=VALUE"),
        (("modbus", "--request", ASKED, "--response", ANSWERED), "give it with --set profile=VALUE"),
        (
            ("modbus", "--set", "profile=xy_md01", "--request", ASKED, "--response", ANSWERED),
            "there is no profile 'xy_md01'; did you mean xy_md02",
        ),
        (
            (
                "modbus",
                "--set",
                "profile=xy_md01",
                "--set",
                "address=1",
                "--request",
                "00",
                "--response",
                "00",
            ),
            "driver modbus: there is no profile 'xy_md01'",
        ),
        (
            ("bthome", "--set", f"bindkey={'1' * 32}", "--service-data", "FCD2=40"),
            "setting 'bindkey' is not text; put it in quotes: --set 'bindkey=",
        ),
        (
            (*METER, "--set", "address=300", "--request", ASKED, "--response", ANSWERED),
            "setting 'address', 300: ",
        ),
    ],
)
def test_a_wrong_command_says_the_remedy(words: tuple[str, ...], message: str) -> None:
    code, said = run(*words)
    assert code == 2
    assert message in said
    assert said.count("\n") == 1


class Tag:
    """A made-up BLE device: service data FCD2, or company 0x0499, with one byte of humidity."""

    channels = (Channel("humidity", Quantity.HUMIDITY), Channel("signal", Quantity.SIGNAL))

    def decode(self, frame: Advertisement) -> Sequence[Sample]:
        service = frame.service_data.get("0000fcd2-0000-1000-8000-00805f9b34fb", b"")
        found = service or frame.manufacturer_data.get(0x0499, b"")
        if (frame.address, frame.name) != ("A4:C1:38:00:00:01", "tag"):
            raise NotMine
        if not found:
            raise Garbled("no humidity")
        return [Sample("humidity", found[0]), Sample("signal", frame.rssi)]


class Meter:
    """A made-up meter on a line: the answer repeats the question's byte, then a count."""

    channels = (Channel("count", Quantity.COUNT),)

    async def poll(self, line: Line) -> Sequence[Sample]:
        return self.decode(await line.exchange(b"\x01", lambda _: Frame(2), within=1.0), b"\x01")

    def decode(self, frame: bytes, request: bytes) -> Sequence[Sample]:
        if frame[:1] != request:
            raise Garbled("another question's answer")
        return [Sample("count", frame[1])]


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install two more drivers, of the shapes that no shipped driver has yet."""
    records = {
        "tag": Driver("Tag", __name__, Over.ADVERTISEMENTS, Settings, lambda _: Tag()),
        "meter": Driver("Meter", __name__, Over.LINE, Settings, lambda _: Meter()),
        "gatt": Driver("Gatt", __name__, Over.GATT, Settings, lambda _: Tag()),
    }
    monkeypatch.setattr(registry, "load", records.__getitem__)


SENDER = ("--address", "a4:c1:38:00:00:01", "--name", "tag", "--rssi", "-70")


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize(
    "part",
    [
        ("--service-data", "FCD2=37"),
        ("--service-data", "0xfcd2=37"),
        ("--service-data", "0000FCD2-0000-1000-8000-00805F9B34FB=37"),
        ("--service-data", "181A=00", "--service-data", "fcd2=37"),
        ("--manufacturer-data", "0x0499=37"),
        ("--manufacturer-data", "1177=37"),
    ],
)
def test_an_advertisement(part: tuple[str, ...]) -> None:
    code, said = run("tag", *part, *SENDER)
    assert code == 0
    assert said["samples"] == {
        "humidity": {"value": 55, "unit": "%"},
        "signal": {"value": -70, "unit": "dBm"},
    }


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tag", "--frame", "37"), "--service-data UUID=HEX or --manufacturer-data ID=HEX"),
        (("tag", "--service-data", "FCD=37"), "'FCD' is not a UUID; write FCD2"),
        (("tag", "--service-data", "FCD2"), "'FCD2' is not UUID=HEX"),
        (("tag", "--service-data", "FCD2=3"), "service data '3' is not hex"),
        (("tag", "--service-data", "FCD2=37", "--address", "tag"), "'tag' is no BLE address; write it as"),
        (("tag", "--manufacturer-data", "acme=37"), "'acme' is not a company id; write 0x0499"),
        (("gatt", "--frame", "00"), "--characteristic UUID and --value HEX"),
        (("gatt", "--characteristic", "2A6", "--value", "00"), "'2A6' is not a UUID"),
    ],
)
def test_a_wrong_advertisement_says_the_remedy(words: tuple[str, ...], message: str) -> None:
    code, said = run(*words)
    assert code == 2
    assert message in said


@pytest.mark.usefixtures("made_up")
def test_a_question_on_a_line() -> None:
    counted = {"samples": {"count": {"value": 5, "unit": "1"}}}
    assert run("meter", "--request", "01", "--response", "01 05") == (0, counted)
    assert run("meter", "--request", "02", "--response", "01 05")[0] == 1


def test_what_is_encrypted_with_the_address_of_its_sender() -> None:
    sealed = ("--service-data", "FCD2=41A47266C95F730011223378237214")
    keyed = ("bthome", "--set", "bindkey=231d39c1d7cc1ab1aee224cd096db932", *sealed)
    code, said = run(*keyed)
    assert (code, said["fault"]) == (1, "Implausible")
    assert "give it with --address MAC" in said["note"]
    assert run(*keyed, "--address", "54:48:e6:8f:80:a5")[0] == 0


def test_a_characteristic() -> None:
    code, said = run("ess", "--characteristic", "2A6E", "--value", "CA 09")
    assert code == 0
    assert said["samples"] == {"temperature": {"value": 25.06, "unit": "Cel"}}
    code, said = run("ess", "--characteristic", "2a6f", "--value", "BF")
    assert code == 1
    assert said["fault"] == "Garbled"
