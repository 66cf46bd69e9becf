from pathlib import Path

import pytest

from edge_agent.bus.ports import lasting, serial_ports, shared


class Machine:
    """The parts of /dev and /sys that tell of serial ports."""

    def __init__(self, folder: Path) -> None:
        self.dev, self.sys = folder / "dev", folder / "sys"
        self.dev.mkdir()

    def plug(self, tty: str, names: tuple[str, ...], socket: str, **told: str) -> None:
        """Plug an adapter in, that is a USB device with its interface, below a hub that has a number."""
        (self.dev / tty).touch()
        for name in names:
            link = self.dev / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)  # as udev does: the last to come has it
            link.symlink_to(self.dev / tty)
        hub = self.sys / "devices" / "usb1"
        adapter = hub / socket
        (adapter / "port").mkdir(parents=True)
        for folder, facts in (
            (hub, {"idVendor": "1d6b", "product": "Hub", "serial": "0000:01:00.0"}),
            (adapter, told),
        ):
            for what, text in facts.items():
                (folder / what).write_text(f"{text}\n")
        known = self.sys / "class" / "tty" / tty
        known.mkdir(parents=True)
        (known / "device").symlink_to(adapter / "port")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_port_is_told_by_its_lasting_name_and_its_adapter(machine: Machine) -> None:
    dev, sys = machine.dev, machine.sys
    facts = {"idVendor": "0403", "manufacturer": "FTDI", "product": "FT232R USB UART", "serial": "A10KZP45"}
    names = ("serial/by-id/usb-FTDI_A10KZP45-port0", "serial/by-path/pci-usb-1-port0")
    machine.plug("ttyUSB0", names, "1-1", **facts)
    (dev / "ttyACM0").touch()
    (dev / "ttyS0").touch()  # nothing behind it

    first, second = serial_ports(dev, sys)
    assert (first.name, first.adapter) == (str(dev / names[0]), "FTDI FT232R USB UART")
    assert (second.name, second.adapter) == (str(dev / "ttyACM0"), "")
    assert lasting(str(dev / "ttyUSB0"), dev, sys) == first.name
    assert lasting(str(dev / "ttyACM0"), dev, sys) == str(dev / "ttyACM0")
    assert not shared(first.name, dev, sys)


@pytest.mark.parametrize("number", [{}, {"serial": "0001"}], ids=["CH340", "CP2102"])
@pytest.mark.parametrize("socket", ["edge-agent/usb-{}", "serial/by-path/pci-usb-{}-port0"])
def test_adapters_that_share_a_name_are_told_by_their_sockets(
    machine: Machine, socket: str, number: dict[str, str]
) -> None:
    """Else one line's readings would be those of the other's devices once they come up in another order."""
    dev, sys = machine.dev, machine.sys
    of_both = "serial/by-id/usb-1a86_USB_Serial-if00-port0"
    facts = {"idVendor": "1a86", "product": "USB Serial", **number}
    machine.plug("ttyUSB0", (of_both, socket.format("1-1")), "1-1", **facts)
    assert lasting(str(dev / of_both), dev, sys) == str(dev / socket.format("1-1"))
    machine.plug("ttyUSB1", (of_both, socket.format("1-2")), "1-2", **facts)

    found = {(port.name, port.adapter) for port in serial_ports(dev, sys)}
    assert found == {(str(dev / socket.format(at)), "USB Serial") for at in ("1-1", "1-2")}
    assert lasting(str(dev / "ttyUSB0"), dev, sys) == str(dev / socket.format("1-1"))
    assert lasting(str(dev / of_both), dev, sys) == str(dev / socket.format("1-2"))
    assert shared(str(dev / of_both), dev, sys)
    assert not shared(str(dev / socket.format("1-1")), dev, sys)


def test_where_sockets_have_no_names_the_shared_one_is_better_than_none(machine: Machine) -> None:
    of_all = "serial/by-id/usb-1a86_USB_Serial-if00-port0"
    machine.plug("ttyUSB0", (of_all,), "1-1", idVendor="1a86")
    assert lasting(str(machine.dev / "ttyUSB0"), machine.dev, machine.sys) == str(machine.dev / of_all)
