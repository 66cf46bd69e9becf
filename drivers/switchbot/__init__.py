"""SwitchBot Meter, Meter Plus and Outdoor Meter.

Service data under 0xFD3D, formerly 0x0D00 (OpenWonderLabs/SwitchBotAPI-BLE, devicetypes/meter.md):

    model | .. | battery, 7 bits | tenths, 4 bits | degrees, 7 bits, bit 7: above zero | humidity, 7 bits

- model: 'T' (54) Meter, 'i' (69) Meter Plus, 'w' (77) Outdoor Meter. The Outdoor Meter's service data ends
  after the battery; tenths, degrees and humidity are bytes 8 to 10 of its manufacturer data (0x0969).
"""

from collections.abc import Sequence

from edge_agent.driver import (
    Advertisement,
    BeaconSettings,
    Broadcast,
    Channel,
    Driver,
    Garbled,
    NotMine,
    Over,
    Quantity,
    Sample,
    service,
)

_SERVICES = (service(0xFD3D), service(0x0D00))
_COMPANY = 0x0969
_METERS, _OUTDOOR = b"Ti", b"w"
_SIZE, _OUTDOOR_SIZE = 6, 11
_ABOVE_ZERO, _SEVEN, _FOUR = 0x80, 0x7F, 0x0F


class SwitchBotSettings(BeaconSettings):
    """The device."""


class SwitchBot:
    """A thermometer and hygrometer."""

    channels: Sequence[Channel] = (
        Channel("temperature", Quantity.TEMPERATURE, "Temperature"),
        Channel("humidity", Quantity.HUMIDITY, "Relative humidity"),
        Channel("battery", Quantity.BATTERY, "Battery"),
    )

    def __init__(self, settings: SwitchBotSettings) -> None:
        pass

    def decode(self, frame: Advertisement) -> Sequence[Sample]:
        """Turn one advertisement into samples."""
        said = next((frame.service_data[uuid] for uuid in _SERVICES if uuid in frame.service_data), b"")
        model = said[:1]
        if not model or (model not in _METERS and model not in _OUTDOOR):
            raise NotMine
        if model in _METERS:
            measured = said[3:_SIZE]
        else:
            measured = frame.manufacturer_data.get(_COMPANY, b"")[8:_OUTDOOR_SIZE]
        if len(measured) != 3 or len(said) < 3:  # noqa: PLR2004 - tenths, degrees, humidity
            raise Garbled(
                f"model {model.decode()} with {len(said)} bytes, and {len(measured)} of 3 measured ones"
            )
        tenths = (measured[1] & _SEVEN) * 10 + (measured[0] & _FOUR)
        return [
            Sample("temperature", (tenths if measured[1] & _ABOVE_ZERO else -tenths) / 10),
            Sample("humidity", measured[2] & _SEVEN),
            Sample("battery", said[2] & _SEVEN),
        ]


driver = Driver(
    title="SwitchBot Meter",
    home=__name__,
    over=Over.ADVERTISEMENTS,
    settings=SwitchBotSettings,
    open=SwitchBot,
    broadcast=Broadcast(services=_SERVICES, companies=(_COMPANY,), active=True),
)
