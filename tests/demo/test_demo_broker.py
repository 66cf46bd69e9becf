"""The demo's brokers: in with the password, out without, gone and back on the same port."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.demo import broker, mosquitto, run
from edge_agent.demo.broken import DemoError
from edge_agent.demo.free_port import free_port
from edge_agent.demo.login import Login


@pytest.fixture(params=["mosquitto", "amqtt"])
async def served(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[broker.Broker, Login]]:
    if request.param == "amqtt":
        monkeypatch.setattr(mosquitto, "find", lambda: None)
    elif mosquitto.find() is None:
        pytest.fail("mosquitto is missing; run make test as root, or apt-get install mosquitto")
    login = broker.own_login(tmp_path)
    async with broker.running(tmp_path, login) as running:
        assert running.title.startswith(f"{request.param} ")
        yield running, login


def _connect(login: Login, password: str) -> tuple[int, bool]:
    """Connect, send one message with QoS 1; return the CONNACK code and whether it was acknowledged."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311, reconnect_on_failure=False)
    client.username_pw_set(login.username, password)
    codes: list[int] = []
    client.on_connect = lambda _c, _u, _f, code, _p: codes.append(code.value)
    client.connect(login.host, login.port, keepalive=10)
    sent = None
    for _ in range(600):
        client.loop(timeout=0.1)
        if codes and codes[0] != 0:
            break
        if codes and sent is None:
            sent = client.publish("park/v1/test", b"x", qos=1)
        if sent is not None and sent.is_published():
            break
    acknowledged = sent is not None and sent.is_published()
    client.disconnect()
    client.loop(timeout=0.1)
    return codes[0], acknowledged


async def test_lets_in_the_password_and_nobody_else(served: tuple[broker.Broker, Login]) -> None:
    _, login = served
    assert await asyncio.to_thread(_connect, login, login.password) == (0, True)
    code, acknowledged = await asyncio.to_thread(_connect, login, "wrong")
    assert code != 0
    assert not acknowledged


async def test_goes_away_and_comes_back_on_the_same_port(served: tuple[broker.Broker, Login]) -> None:
    running, login = served
    _, writer = await asyncio.open_connection(login.host, login.port)
    await running.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(login.host, login.port)
    writer.close()
    await running.start()
    assert await asyncio.to_thread(_connect, login, login.password) == (0, True)


async def test_taking_it_away_cuts_those_who_are_connected(served: tuple[broker.Broker, Login]) -> None:
    running, login = served
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311, reconnect_on_failure=False)
    client.username_pw_set(login.username, login.password)
    loop = asyncio.get_running_loop()
    came, went = asyncio.Event(), asyncio.Event()

    def tell(event: asyncio.Event) -> None:
        loop.call_soon_threadsafe(event.set)

    client.on_connect = lambda _c, _u, _f, _r, _p: tell(came)
    client.on_disconnect = lambda _c, _u, _f, _r, _p: tell(went)
    await asyncio.to_thread(client.connect, login.host, login.port)
    client.loop_start()
    try:
        async with asyncio.timeout(60):
            await came.wait()
            await running.stop()
            await went.wait()
    finally:
        await asyncio.to_thread(client.loop_stop)


def test_a_second_start_keeps_port_and_password(tmp_path: Path) -> None:
    first = broker.own_login(tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / broker.SECRET).write_text(first.password)
    assert broker.own_login(tmp_path) == first


async def test_names_the_remedy_where_there_is_no_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mosquitto, "find", lambda: None)
    monkeypatch.setattr(broker, "find_spec", lambda _: None)
    with pytest.raises(DemoError, match="apt-get install mosquitto"):
        async with broker.running(tmp_path, broker.own_login(tmp_path)):
            pass


async def test_says_where_to_look_when_mosquitto_does_not_start(tmp_path: Path) -> None:
    program = mosquitto.find()
    if program is None:
        pytest.fail("mosquitto is missing; run make test as root, or apt-get install mosquitto")
    prepared = await mosquitto.prepare(program, tmp_path, broker.own_login(tmp_path))
    (tmp_path / "mosquitto.conf").write_text("nonsense true\n")
    with pytest.raises(DemoError, match=r"mosquitto.log says why"):
        await prepared.start()
    await prepared.stop()


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("mqtt://10.0.0.1", Login("mqtt://10.0.0.1:1883", "", "")),
        ("mqtts://a:b%40c@city.example:8884", Login("mqtts://city.example:8884", "a", "b@c")),
        ("mqtt://[::1]:7", Login("mqtt://[::1]:7", "", "")),
    ],
)
def test_reads_a_brokers_address(url: str, login: Login) -> None:
    assert broker.login_of(url) == login


@pytest.mark.parametrize("url", ["", "10.0.0.1", "http://x", "mqtt://", "mqtt://x:y", "mqtt://x/topic"])
def test_refuses_what_is_no_brokers_address(url: str) -> None:
    with pytest.raises(DemoError, match="mqtt://"):
        broker.login_of(url)


def test_a_port_stays_free_while_nobody_listens() -> None:
    port = free_port(0)
    assert free_port(port) == port
    with socket.create_server(("127.0.0.1", port)):
        others = {free_port(port) for _ in range(20)}
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    assert port not in others
    assert max(others) < ephemeral, "the kernel gives those to whoever makes a connection"


async def test_a_port_that_somebody_took_meanwhile_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_START_AGAIN", 0.1)
    login, said, rivals = broker.own_login(tmp_path), list[str](), list[socket.socket]()

    def remark(text: str) -> None:
        said.append(text)
        if "taken away" in text:
            rivals.append(socket.create_server((login.host, login.port)))
        elif rivals:
            rivals.pop().close()

    async with broker.running(tmp_path, login) as served, asyncio.timeout(60):
        await run._outage(served, 0, 0, remark)
        assert await asyncio.to_thread(_connect, login, login.password) == (0, True)
    assert [text.split(";")[0] for text in said] == [
        "-- broker taken away",
        f"-- {served.title} does not start at {login.url}",
        "-- broker back",
    ]
