"""The command line in Chinese, as LANG says; what programs read stays in English."""

import json
from pathlib import Path

import pytest

from edge_agent import registry
from edge_agent.driver import SIGNAL
from edge_agent.text.language import words
from edge_agent.text.translation import translated
from hatch_build import compile_catalogues
from tests.cli.running import config, port, running, until
from tests.cli.verb import verb

__all__ = ["port"]  # the fixture

WRONG = """\
config = 1
gateway = { site = "east-park", id = "gw-01" }
[bus.a]
port = "/dev/ttyUSB0"
[device.meter-7]
driver = "modbus"
bus = "b"
intervall = "10s"
"""


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Compile the catalogues: after a pull, the ones that are there may be older than their texts."""
    compile_catalogues(Path(__file__).parents[2])
    words.cache_clear()


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    file = tmp_path / "agent.toml"
    file.write_text(WRONG, "utf-8")
    return str(file)


@pytest.mark.usefixtures("chinese")
async def test_help_is_in_chinese() -> None:
    for line, text in ((("--help",), "检查配置"), (("outbox", "losses", "--help"), "丢弃了什么")):
        said = await verb(*line)
        assert (said.code, text in said.out) == (0, True), said.out


@pytest.mark.usefixtures("chinese")
async def test_problems_are_told_in_chinese_and_in_json_in_english(wrong: str) -> None:
    said = await verb("check", "-c", wrong)
    assert said.code == 78
    assert f"{wrong}:7: device.meter-7.bus: 没有总线 'b'; 本文件中的总线: a\n" in said.err
    assert f"{wrong}:8: device.meter-7.intervall: 不是已知的键; 您是指 interval 吗？\n" in said.err
    told = json.loads((await verb("check", "-c", wrong, "--json")).out)
    assert "there is no bus 'b'" in [problem["wrong"] for problem in told["problems"]]


@pytest.mark.usefixtures("chinese")
async def test_an_error_is_told_in_chinese_and_in_json_in_english() -> None:
    said = await verb("read", "meter-7", "--within", "0s", "--json")
    assert said.code == 2
    assert said.err == "--within 时间为零；请给出更长的时间，例如 30s\n"
    assert json.loads(said.out) == {"error": "--within is no time at all; give more, such as 30s"}


@pytest.mark.usefixtures("chinese")
async def test_doctor_speaks_chinese(wrong: str) -> None:
    said = await verb("doctor", "-c", wrong, "--offline")
    assert said.code == 1
    for text in ("\n配置\n", "没有总线 'b'\n        -> 本文件中的总线: a\n"):
        assert text in said.out
    told = json.loads((await verb("doctor", "-c", wrong, "--offline", "--json")).out)
    assert "configuration" in {one["group"] for one in told["findings"]}


@pytest.mark.usefixtures("chinese")
async def test_profiles_are_listed_in_chinese() -> None:
    said = await verb("profile", "list", "--driver", "modbus")
    assert ["modbus", "eastron_sdm120", "Eastron", "SDM120", "单相电表"] in [
        line.split() for line in said.out.splitlines()
    ]


@pytest.mark.usefixtures("chinese")
async def test_healthy_says_in_chinese_why_not(tmp_path: Path) -> None:
    said = await verb("healthy", "--socket", str(tmp_path / "none.sock"), "--within", "1s")
    assert (said.code, "没有代理" in said.err) == (1, True), said.err


@pytest.mark.usefixtures("chinese")
async def test_status_speaks_chinese(port: Path, tmp_path: Path) -> None:
    async with running(config(tmp_path, port)) as place:
        said = await until(place, 0)
        for text in ("一切正常", "在线", "本地库"):
            assert text in said.out
        told = json.loads((await until(place, 0, "--json")).out)
    assert told["devices"][0]["availability"] == "online"


async def test_without_a_language_it_is_english(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("LANGUAGE", "C")
    monkeypatch.setenv("LANG", "C")
    assert "there is no bus 'b'; buses of this file: a" in (await verb("check", "-c", wrong)).err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("is missing", "缺失"),
        ("a.toml:3: bus.a: is missing; remove it", "a.toml:3: bus.a: 缺失; 请删除"),
        ("  secret city-password\n", "  密钥 city-password\n"),
        ("meter-7: offline; 42 moons", "meter-7: 离线; 42 moons"),
        ("offline: not connected", "offline: 未连接"),  # the first is a name
        ("bus {a}: not connected", "总线 {a}：未连接"),
        ("whatever a driver says of itself", "whatever a driver says of itself"),
        ("is missing; " + "x" * 500, "is missing; " + "x" * 500),
        ("is missing; " * 40, "is missing; " * 40),
        ("", ""),
    ],
)
def test_what_is_known_is_told_again_and_the_rest_stays(text: str, told: str) -> None:
    assert translated(text, words("zh_CN")) == told
    assert translated(text, words("en")) == text


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("NoAnswer: no answer on /dev/ttyUSB0 within 1 s", "/dev/ttyUSB0 上 1 秒内没有应答"),
        ("Garbled: checksum of the answer", "应答的校验和错误"),
        (
            "uplink a: mqtt://10.0.0.1: the broker refuses the login (NoUser); check username and password",
            "上行链路 a：mqtt://10.0.0.1: 服务器拒绝登录（NoUser）；检查用户名和密码",
        ),
        ("Garbled: 7 bytes, too short for a frame", "7 字节，不足一帧"),
        ("Implausible: it cannot be decrypted; is `bindkey` that of this device?", "无法解密"),
        (
            "nothing heard for 5 min; Garbled: checksum of the answer",
            "已 5 min 没有收到数据; Garbled: 应答的校验和错误",
        ),
        (
            "the broker refuses events (Not authorized); allow us to write a/b/event/#",
            "服务器拒绝事件（未授权）",
        ),
    ],
)
def test_faults_of_drivers_buses_and_brokers_are_told_in_chinese(fault: str, told: str) -> None:
    assert told in translated(fault, words("zh_CN"))
    assert translated(fault, words("en")) == fault


def test_a_channel_is_called_as_its_profile_says() -> None:
    """Where it says nothing in Chinese, its English label is better than none."""
    record = registry.load("modbus")
    opened = record.open(record.settings.model_validate({"profile": "eastron_sdm120", "address": 1}))
    power = next(channel for channel in opened.channels if channel.name == "power")
    assert (words("en").label(power), words("zh_CN").label(power)) == ("Active power", "有功功率")
    assert words("zh_CN").label(SIGNAL) == SIGNAL.label
