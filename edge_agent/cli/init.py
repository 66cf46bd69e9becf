"""``edge-agent init``: from nothing to a configuration that can be used, at the cabinet or by flags."""

import os
import shlex
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.dialog import Dialog, keep_secret
from edge_agent.cli.options import CONFIG, ConfigFile, Yes
from edge_agent.cli.say import say
from edge_agent.cli.verb_exit import stop
from edge_agent.text.language import tr
from edge_agent.text.translation import translated

if TYPE_CHECKING:
    from edge_agent.onsite.compose import Answers
    from edge_agent.onsite.wanted import Wanted
    from edge_agent.settings.uplink import Uplink


def init(  # noqa: PLR0913 - one parameter for each option
    config: ConfigFile = CONFIG,
    *,
    site: Annotated[str, typer.Option(help=tr("Id of the park or community."))] = "",
    gateway: Annotated[
        str, typer.Option(help=tr("Id of this gateway; default: made from the host name."))
    ] = "",
    broker: Annotated[
        str, typer.Option(metavar="mqtt[s]://HOST[:PORT]", help=tr("The broker to send to."))
    ] = "",
    username: Annotated[str, typer.Option(help=tr("User name at the broker."))] = "",
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help=tr("File with the password in its first line; it becomes a secret.")
        ),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help=tr("CA certificates for mqtts; default: those of the system."))
    ] = None,
    cert: Annotated[Path | None, typer.Option(help=tr("The gateway's certificate."))] = None,
    key: Annotated[Path | None, typer.Option(help=tr("Its private key, if it is in another file."))] = None,
    uplink: Annotated[
        str, typer.Option(help=tr("Name of the uplink, the connection to the broker."))
    ] = "city",
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'KEY=VALUE ..'",
            help=tr("A device: id, driver, port or ble, and its settings; may be given again."),
        ),
    ] = None,
    scan: Annotated[
        list[str] | None,
        typer.Option(metavar="PORT", help=tr("Scan this port, and add what is found; may be given again.")),
    ] = None,
    scan_ble: Annotated[
        list[str] | None,
        typer.Option(metavar="ADAPTER", help=tr("Scan this BLE adapter, and add what is found.")),
    ] = None,
    speeds: Annotated[str, typer.Option(metavar="LIST", help=tr("Serial formats to try in a scan."))] = "",
    addresses: Annotated[str, typer.Option(metavar="LIST", help=tr("Modbus addresses to ask."))] = "1-32",
    untested: Annotated[bool, typer.Option("--untested", help=tr("Do not connect to the broker."))] = False,
    force: Annotated[
        bool, typer.Option("--force", help=tr("Replace an existing file; it is kept as FILE.before."))
    ] = False,
    yes: Yes = False,
) -> None:
    """Ask a few questions, try the broker, look for devices, and write a configuration with comments.

    What is given as an option is not asked; with --yes nothing is. A password is never written into the
    configuration: it becomes a file of its own. Interrupted, it goes on where it was. Ends with 0 when the
    file can be used, 2 when it cannot be written or the broker refuses, 78 when the file is wrong.

    Example: edge-agent init --site east-park --broker mqtts://broker.example --username gw-01 --yes
    """
    # not for --help
    from edge_agent.cli.init_devices import Where, check_id, choose, found_devices  # noqa: PLC0415
    from edge_agent.onsite.compose import Answers, compose  # noqa: PLC0415 - as above

    _check_target(config, force=force)
    options = {"site": site, "gateway": gateway, "broker": broker, "username": username}
    dialog = Dialog(
        config.with_name(f".{config.name}.answers"),
        {name: told for name, told in options.items() if told},
        yes=yes,
    )
    answers = Answers(uplink=uplink, ca=_path(ca), cert=_path(cert), key=_path(key))
    answers.site = dialog.text("site", tr("Site, the id of the park or community"), check=check_id)
    answers.gateway = dialog.text("gateway", tr("Gateway, its id in that site"), _host(), check_id)
    _ask_broker(dialog, answers, password_file, untested=untested)
    answers.devices = _given(device or dialog.known("device").splitlines())
    ports, adapters = scan or [], scan_ble or []
    if not (ports or adapters or device):
        ports, adapters = choose(dialog)
    found_devices(dialog, Where(ports, adapters, speeds, addresses), answers.devices)
    _write(config, compose(answers))
    dialog.done()
    _finish(config, answers)


def _check_target(config: Path, *, force: bool) -> None:
    try:
        if config.exists() and not (force or _is_empty(config)):
            remedy = "change it and run `edge-agent check`, or give --force to begin anew"
            stop(f"{config} is there already; {remedy}")
        config.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        stop(
            f"{error.filename} cannot be used ({error.strerror}); run it with sudo, or name another --config"
        )
    if not os.access(config.parent, os.W_OK):
        stop(f"{config.parent} may not be written; run it with sudo, or name another --config")


def _is_empty(config: Path) -> bool:
    """Say whether a file is right and sets up nothing, as the one that comes with an installation."""
    import tomllib  # noqa: PLC0415 - as above

    try:
        return not tomllib.loads(config.read_text("utf-8-sig")).keys() & {"uplink", "bus", "device"}
    except (OSError, ValueError):
        return False


def _host() -> str:
    from edge_agent.onsite.toml_text import id_of  # noqa: PLC0415 - as above

    return id_of(socket.gethostname().partition(".")[0], "gw-01")


def _path(file: Path | None) -> str:
    return str(file.absolute()) if file else ""


def _check_broker(text: str) -> None:
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - as above

    from edge_agent.settings.field_types import OneServer  # noqa: PLC0415 - as above

    if text:
        try:
            TypeAdapter(OneServer).validate_python(text)
        except ValidationError as error:
            raise ValueError(str(error.errors()[0]["ctx"]["error"])) from None


def _ask_broker(dialog: Dialog, answers: "Answers", password_file: Path | None, *, untested: bool) -> None:
    """Ask where to send and as whom, until the broker agrees or the person does not mind."""
    password = _first_line(password_file)
    while True:
        answers.broker = dialog.text(
            "broker", tr("Broker, mqtt://host or mqtts://host"), check=_check_broker, optional=True
        )
        if not answers.broker:
            return
        answers.username = dialog.text("username", tr("User name there"), optional=True)
        if answers.username and not password:
            password = dialog.secret(tr("Password, which is not shown (Enter: none)"))
        if untested or _tried(answers, password):
            break
        if dialog.yes:
            stop("nothing was written; correct it, or give --untested to write it all the same")
        if not dialog.agreed(tr("Change the answers?"), default=True):
            break
        password = ""
        dialog.forget("broker")
        dialog.forget("username")
    if password:
        answers.secret = f"{answers.uplink}-password"
        keep_secret(answers.secret, password)


def _first_line(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.read_text("utf-8-sig").partition("\n")[0].removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        stop(
            f"--password-file {file} cannot be read ({getattr(error, 'strerror', None) or 'it is not UTF-8'})"
        )


def _tried(answers: "Answers", password: str) -> bool:
    """Connect as the agent will, and say whether it may do there what it must."""
    from edge_agent.doctor.broker import rights  # noqa: PLC0415 - as above
    from edge_agent.doctor.finding import Group  # noqa: PLC0415 - as above
    from edge_agent.uplink.probe import visiting  # noqa: PLC0415 - as above
    from edge_agent.uplink.session_error import SessionError  # noqa: PLC0415 - as above

    settings = _settings(answers, password)
    say(tr("trying {broker} ...", broker=answers.broker))
    try:
        with visiting(settings, settings.servers[0]) as visit:
            base = f"{settings.root}/{answers.site}/{answers.gateway}"
            found = list(rights(Group("broker"), visit, base, f"{settings.root}/+/+/status"))
    except SessionError as error:
        say(f"  {translated(str(error))}", error=True, filled=True)
        return False
    for one in found:
        if one.level != "OK":
            say(
                f"  {one.level}  {translated(f'{one.what}: {one.says}; {one.remedy}')}",
                error=True,
                filled=True,
            )
    well = all(one.level != "FAIL" for one in found)
    if well:
        say(
            tr(
                "  connected with MQTT {protocol}, and may write and read its own topics",
                protocol=visit.protocol,
            )
        )
    return well


def _settings(answers: "Answers", password: str) -> "Uplink":
    from pydantic import ValidationError  # noqa: PLC0415 - as above

    from edge_agent.settings.uplink import Uplink  # noqa: PLC0415 - as above
    from edge_agent.settings.validation_errors import findings  # noqa: PLC0415 - as above

    table = answers.uplink_table() | ({"password": password} if password else {})
    try:
        return Uplink.model_validate(table)
    except ValidationError as error:
        stop(
            "\n".join(
                f"{'.'.join(map(str, one.path))} {one.wrong}; {one.remedy}" for one in findings(error, Uplink)
            )
        )


def _given(lines: list[str]) -> "list[Wanted]":
    from edge_agent.cli.init_devices import check_id  # noqa: PLC0415 - as above
    from edge_agent.onsite.wanted import Wanted  # noqa: PLC0415 - as above

    found: dict[str, Wanted] = {}
    for line in lines:
        try:
            one = Wanted.parse(line)
            check_id(one.id)
        except ValueError as error:
            stop(f"--device {error}")
        if one.id in found:
            stop(f"--device: id={one.id} is given twice; each device has its own")
        found[one.id] = one
    return list(found.values())


def _write(config: Path, text: str) -> None:
    from edge_agent.settings.atomic_write import replace_file  # noqa: PLC0415 - as above

    try:
        if config.exists():
            shutil.copy2(config, config.with_name(f"{config.name}.before"))
        replace_file(config, text)
        config.chmod(0o644)
    except OSError as error:
        stop(f"{error.filename} cannot be written ({error.strerror}); run it with sudo")


def _finish(config: Path, answers: "Answers") -> None:
    """Check what was written, and say what is next."""
    from edge_agent.settings.error import SettingsError  # noqa: PLC0415 - as above
    from edge_agent.settings.load import load  # noqa: PLC0415 - as above

    say(tr("written: {config}", config=config))
    own = "" if config == CONFIG else f" --config {shlex.quote(str(config))}"
    try:
        load(config)
    except SettingsError as error:
        stop(f"{error}\ncorrect that, then: edge-agent check{own}", code=os.EX_CONFIG)
    say(tr("next:"))
    if answers.devices:
        say(tr("  edge-agent read {id}{own}    one reading of a device", id=answers.devices[0].id, own=own))
    else:
        say(tr("  edge-agent scan serial    find devices, and add them to the file"))
    say(tr("  edge-agent doctor{own}    look at everything once", own=own))
    say(
        tr("  systemctl enable --now edge-agent    start the service")
        if not own
        else tr("  edge-agent run{own}    start it", own=own)
    )
