"""A device's last values on a terminal, in as few lines as hold them."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.text import Text

from edge_agent.status import DeviceStatus
from edge_agent.text import formatting


@dataclass(frozen=True, slots=True)
class ValueLines:
    """Values one after the other, as many in a line as fit; none is broken over two lines.

    A channel that the device never knew is among them, without a value.
    """

    device: DeviceStatus

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[Text]:
        line = Text()
        for channel in dict.fromkeys((*self.device.values, *self.device.quality)):
            value = _value(self.device, channel)
            if line and line.cell_len + 2 + value.cell_len > options.max_width:
                yield line
                line = Text()
            line = Text.assemble(line, "  ", value) if line else value
        yield line


def _value(device: DeviceStatus, channel: str) -> Text:
    quality = device.quality.get(channel)
    text = f"{channel} {formatting.with_unit(device.values.get(channel), device.units.get(channel, ''))}"
    return Text(f"{text} ({quality.grade})", "yellow") if quality else Text(text)
