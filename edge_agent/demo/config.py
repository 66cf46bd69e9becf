"""The demo's agent.toml: what an installer would write for this park and this broker."""

import json
from pathlib import Path

from edge_agent.demo import on_air, park
from edge_agent.demo.broken import DemoError
from edge_agent.demo.broker import SECRET
from edge_agent.demo.login import Login

SITE, GATEWAY, UPLINK = "demo-park", "demo-gw", "city"
TOPICS = f"park/v1/{SITE}/{GATEWAY}/#"
_MARK = "# Written by `edge-agent demo` at each start"
_PRIVATE = 0o700


def outbox_file(directory: Path) -> Path:
    """Return where the readings are kept."""
    return directory / "outbox.db"


def control_socket(directory: Path) -> Path:
    """Return where other verbs ask the demo's agent."""
    return directory / "control.sock"


def secrets_folder(directory: Path) -> Path:
    """Return the folder that ``CREDENTIALS_DIRECTORY`` must name for the agent."""
    return directory / "secrets"


def write(
    directory: Path, login: Login, protocol: str = "auto", *, ble: bool = False, listen: str = ""
) -> Path:
    """Write ``agent.toml`` and the secret it names into an absolute directory; return the file's path.

    ``ble``: with the sensors that broadcast. ``listen``: where the operators' page is, "" for none.

    Raises:
        DemoError: there is an ``agent.toml`` already, and it is somebody's own.
    """
    file = directory / "agent.toml"
    if file.exists() and not file.read_text("utf-8", "replace").startswith(_MARK):
        raise DemoError(f"{file} was not written by the demo; choose another --dir")
    secret = secrets_folder(directory) / SECRET
    secret.parent.mkdir(mode=_PRIVATE, exist_ok=True)
    secret.unlink(missing_ok=True)
    secret.touch(0o600)
    secret.write_text(login.password, "utf-8")
    text = _text(directory, login, protocol) + (_air(directory) if ble else "")
    if listen:
        text += f"\n[console]\nlisten = {_quoted(listen)}\n"
    file.write_text(text, "utf-8")
    return file


def _air(directory: Path) -> str:
    """Return the bus and the devices of the sensors that broadcast."""
    tables = [f'\n[bus.radio]\nble = "{on_air.ADAPTER}"\n']
    for sensor in on_air.sensors(on_air.key_in(secrets_folder(directory))):
        settings = ", ".join(filter(None, (f'address = "{sensor.address}"', sensor.settings)))
        tables.append(f"""\
[device.{sensor.id}]
driver = "{sensor.driver}"
bus = "radio"
settings = {{ {settings} }}
interval = "2s"
name = "{sensor.name}"
""")
    return "\n".join(tables)


def _text(directory: Path, login: Login, protocol: str) -> str:
    user = ""
    if login.username:
        user += f"username = {_quoted(login.username)}\n"
        user += f'password = {{ secret = "{SECRET}" }}\n' if login.password else ""
    return f"""\
{_MARK}; CREDENTIALS_DIRECTORY is the folder "secrets" beside it.
config = 1

[gateway]
site = "{SITE}"
id = "{GATEWAY}"
name = "Simulated park"

[outbox]
path = {_quoted(outbox_file(directory))}

[clock]
trust = "always"                          # in a container the kernel may not say whether its clock is right

[uplink.{UPLINK}]
servers = [{_quoted(login.url)}]
protocol = "{protocol}"
spread = "0s"                             # one gateway need not let others go first when the broker is back
{user}
[bus.cabinet-a]
port = {_quoted(park.cabinet_tty(directory))}
serial = "{park.CABINET_BAUD} 8N1"

[bus.radar-1]
port = {_quoted(park.radar_tty(directory))}

[device.meter-1]
driver = "modbus"
bus = "cabinet-a"
settings = {{ profile = "eastron_sdm120", address = {park.METER} }}
interval = "2s"
name = "Hall A feed"

[device.meter-2]
driver = "dlt645"
bus = "cabinet-a"
settings = {{ profile = "dlt645_2007_single", address = "{park.FLAT_METER}" }}
interval = "5s"
name = "Flat above hall A"

[device.climate-1]
driver = "modbus"
bus = "cabinet-a"
settings = {{ profile = "xy_md02", address = {park.CLIMATE} }}
interval = "2s"
name = "Hall A air"

[device.radar-1]
driver = "ld2410"
bus = "radar-1"
name = "Hall A desk"
"""


def _quoted(text: object) -> str:
    """Write a TOML basic string; JSON's escapes are a part of TOML's, but for those of emoji."""
    return json.dumps(str(text), ensure_ascii=False)
