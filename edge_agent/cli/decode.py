"""``edge-agent decode``: say what one frame means, without any hardware."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer

from edge_agent import registry
from edge_agent.bus.advertisement import hex_bytes, uuid, written
from edge_agent.bus.framing import Framer
from edge_agent.bus.modbus import answer_cut, parse, read_request
from edge_agent.cli.completion import driver_names
from edge_agent.cli.say import tell
from edge_agent.cli.set_option import UsageError, pairs, settings_of, split
from edge_agent.cli.verb_exit import stop
from edge_agent.driver import (
    Advertisement,
    Answerer,
    Beacon,
    Cut,
    Device,
    Driver,
    Fault,
    Gatt,
    Line,
    Over,
    Read,
    Registers,
    Sample,
    Talker,
)
from edge_agent.profile import profile_note
from edge_agent.text.language import tr

_NOBODY = "00:00:00:00:00:00"  # an address was not told, and most formats do not need it


@dataclass(frozen=True, slots=True)
class Given:
    """The bytes on the command line, by kind. What was not given is None."""

    frame: bytes | None = None
    request: bytes | None = None
    response: bytes | None = None
    advertisement: Advertisement | None = None
    characteristic: str | None = None
    value: bytes | None = None


def decode(  # noqa: PLR0913 - one parameter for each option
    driver: Annotated[
        str,
        typer.Argument(
            help=tr("Name of a driver; `edge-agent drivers` lists them. A capture may name it."),
            autocompletion=driver_names,
        ),
    ] = "",
    *,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=tr("A setting of the driver."))
    ] = None,
    frame: Annotated[str | None, typer.Option(metavar="HEX", help=tr("What a serial device said."))] = None,
    request: Annotated[str | None, typer.Option(metavar="HEX", help=tr("What was asked."))] = None,
    response: Annotated[str | None, typer.Option(metavar="HEX", help=tr("What was answered."))] = None,
    service_data: Annotated[
        list[str] | None, typer.Option(metavar="UUID=HEX", help=tr("Part of a BLE advertisement."))
    ] = None,
    manufacturer_data: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=HEX", help=tr("Part of a BLE advertisement; 0x0499 or 1177.")),
    ] = None,
    address: Annotated[str | None, typer.Option(metavar="MAC", help=tr("Who advertised."))] = None,
    name: Annotated[str | None, typer.Option(help=tr("The name in an advertisement."))] = None,
    characteristic: Annotated[
        str | None, typer.Option(metavar="UUID", help=tr("What was read of a connected BLE device."))
    ] = None,
    value: Annotated[str | None, typer.Option(metavar="HEX", help=tr("What stood there."))] = None,
    rssi: Annotated[int | None, typer.Option(help=tr("How strong an advertisement was, in dBm."))] = None,
    capture: Annotated[
        Path | None, typer.Option(help=tr("Decode all of a file of `edge-agent record`."))
    ] = None,
) -> None:
    """Decode a frame and print its samples, or the fault, as a JSON object; of a capture one for each frame.

    Ends with 0 for samples, 1 for a fault or none at all, 2 when the command cannot be carried out.

    Example: edge-agent decode ld2410 --frame F4F3F2F10D0002AA0251000000003B00005500F8F7F6F5
    """
    if capture is not None:
        _decode_capture(capture, driver, settings or [])
    try:
        given = Given(
            _hex("--frame", frame),
            _hex("--request", request),
            _hex("--response", response),
            _advertisement(service_data or [], manufacturer_data or [], (address, name, rssi)),
            _characteristic(characteristic),
            _hex("--value", value),
        )
        record = registry.load(driver)
        told = pairs(settings or [])
        result = meaning(record, driver, told, given)
        if note := _profile(driver, told.get("profile")):
            result["profile"] = note
    except (UsageError, registry.UnknownDriverError) as error:
        stop(str(error))
    tell(result)
    if not result.get("samples"):
        raise typer.Exit(1)


def _profile(driver: str, name: object) -> str:
    try:
        return profile_note(driver, name)
    except ValueError as error:
        raise UsageError(f"driver {driver}: {error}") from error


def _decode_capture(file: Path, name: str, settings: list[str]) -> NoReturn:
    from edge_agent.cli.capture_meanings import meanings  # noqa: PLC0415 - which is made of the functions here
    from edge_agent.onsite.capture import load  # noqa: PLC0415 - only for this

    decoded = 0
    try:
        head, pieces = load(file)
        name = name or head.driver
        if not name:
            stop(f"{file} does not say whose it is; name a driver, `edge-agent drivers` lists them")
        record = registry.load(name)
        own = head.settings if name == head.driver else {}
        for result in meanings(record, name, {**own, **pairs(settings)}, pieces):
            decoded += bool(result.get("samples"))
            tell(result)
    except (ValueError, registry.UnknownDriverError) as error:
        stop(str(error))
    raise typer.Exit(0 if decoded else 1)


def meaning(record: Driver[Any], name: str, settings: dict[str, Any], given: Given) -> dict[str, Any]:
    """Return ``{"samples": ..}`` or ``{"fault": .., "reason": ..}`` for given bytes.

    Where there are no samples, or bytes after the frame that were not looked at, it says so, too.

    Raises:
        ValueError: the settings do not fit, or the bytes are of the wrong kind for this driver.
    """
    _check_kind(record.over, name, given)
    try:
        question = read_request(given.request or b"") if record.over is Over.REGISTERS else None
        device = _open(record, name, settings, given, question)
        samples = _samples(record, device, given, question)
    except Fault as fault:
        failed = {"fault": type(fault).__name__, "reason": str(fault) or _first_line(type(fault))}
        if "bindkey" in settings and given.advertisement and not given.advertisement.address:
            failed["note"] = "most devices encrypt with their address, too; give it with --address MAC"
        return failed
    units = {channel.name: channel.quantity.unit for channel in device.channels}
    result: dict[str, Any] = {
        "samples": {said: {"value": value, "unit": units[said]} for said, value in samples}
    }
    if not samples:
        result["note"] = "none of the channels lies in what was asked"
    if after := _after(record, given, question):
        result["bytes_after"] = after
    return result


def _after(record: Driver[Any], given: Given, question: Read | None) -> int:
    """Return how many bytes stand behind the first frame."""
    heard = given.frame or given.response or b""
    frame = _first(answer_cut(question) if question else record.cut, heard)
    return len(heard) - heard.find(frame) - len(frame)


def _samples(record: Driver[Any], device: Device, given: Given, question: Read | None) -> Sequence[Sample]:
    match record.over:
        case Over.STREAM:
            return cast("Talker", device).decode(_first(record.cut, given.frame or b""))
        case Over.ADVERTISEMENTS:
            return cast("Beacon", device).decode(cast("Advertisement", given.advertisement))
        case Over.REGISTERS:
            asked = cast("Read", question)
            answer = parse(asked, _first(answer_cut(asked), given.response or b""))
            return cast("Answerer[Registers, Read]", device).decode(answer, asked)
        case Over.GATT:
            gatt_device = cast("Answerer[Gatt, str]", device)
            return gatt_device.decode(given.value or b"", given.characteristic or "")
        case Over.LINE:
            line_device = cast("Answerer[Line, bytes]", device)
            return line_device.decode(given.response or b"", given.request or b"")


def _first(cut: Cut | None, heard: bytes) -> bytes:
    """Return the first frame in what was heard; with none in it all of it, so that decoding says why."""
    frames = Framer(cut).feed(heard) if cut else []
    return frames[0] if frames else heard


def _check_kind(over: Over, name: str, given: Given) -> None:
    match over:
        case Over.STREAM:
            wanted, there = {"frame"}, "--frame HEX"
        case Over.ADVERTISEMENTS:
            wanted, there = {"advertisement"}, "--service-data UUID=HEX or --manufacturer-data ID=HEX"
        case Over.REGISTERS | Over.LINE:
            wanted, there = {"request", "response"}, "--request HEX and --response HEX"
        case Over.GATT:
            wanted, there = {"characteristic", "value"}, "--characteristic UUID and --value HEX"
    present = {kind for kind in Given.__slots__ if getattr(given, kind) is not None}
    if present != wanted:
        raise UsageError(f"driver {name} decodes what is given with {there}, and nothing else; give that")


def _open(
    record: Driver[Any], name: str, settings: dict[str, Any], given: Given, question: Read | None
) -> Device:
    fields = record.settings.model_fields
    if "address" in fields and question:
        settings = {"address": question.unit} | settings
    if "address" in fields and (given.advertisement or given.characteristic):
        known = given.advertisement.address if given.advertisement else ""
        settings = {"address": known or _NOBODY} | settings
    chosen = settings_of(name, record.settings, settings)
    try:
        return record.open(chosen)
    except ValueError as error:
        raise UsageError(f"driver {name}: {error}") from error


def _hex(option: str, text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return hex_bytes(text)
    except ValueError as error:
        raise UsageError(f"{option} {error}") from error


def _characteristic(text: str | None) -> str | None:
    try:
        return uuid(text) if text is not None else None
    except ValueError as error:
        raise UsageError(f"--characteristic {error}") from error


def _advertisement(
    service_data: list[str], manufacturer_data: list[str], sender: tuple[str | None, str | None, int | None]
) -> Advertisement | None:
    address, name, rssi = sender
    if not service_data and not manufacturer_data and sender == (None, None, None):
        return None
    services = dict(split("--service-data", "UUID=HEX", text) for text in service_data)
    makers = dict(split("--manufacturer-data", "ID=HEX", text) for text in manufacturer_data)
    sender_fields = {"address": address or "", "name": name or "", "rssi": rssi or 0}
    try:
        return written(sender_fields | {"service_data": services, "manufacturer_data": makers})
    except ValueError as error:
        raise UsageError(str(error)) from error


def _first_line(kind: type[Fault]) -> str:
    return (kind.__doc__ or "").partition("\n")[0]
