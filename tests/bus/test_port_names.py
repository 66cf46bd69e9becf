from pathlib import Path

from edge_agent.bus.ports import lasting, serial_ports


def test_a_port_is_told_by_its_lasting_name_and_its_adapter(tmp_path: Path) -> None:
    dev, sys = tmp_path / "dev", tmp_path / "sys"
    by_id = dev / "serial" / "by-id"
    by_id.mkdir(parents=True)
    (dev / "ttyUSB0").touch()
    (dev / "ttyACM0").touch()
    (dev / "ttyS0").touch()  # nothing behind it
    (by_id / "usb-FTDI_A1-port0").symlink_to("../../ttyUSB0")
    adapter = sys / "devices" / "usb1"
    (adapter / "port").mkdir(parents=True)
    (adapter / "manufacturer").write_text("FTDI\n")
    (adapter / "product").write_text("FT232R USB UART\n")
    (sys / "class" / "tty" / "ttyUSB0").mkdir(parents=True)
    (sys / "class" / "tty" / "ttyUSB0" / "device").symlink_to(adapter / "port")

    first, second = serial_ports(dev, sys)
    assert (first.name, first.adapter) == (str(by_id / "usb-FTDI_A1-port0"), "FTDI FT232R USB UART")
    assert (second.name, second.adapter) == (str(dev / "ttyACM0"), "")
    assert lasting(str(dev / "ttyUSB0"), dev) == first.name
    assert lasting(str(dev / "ttyACM0"), dev) == str(dev / "ttyACM0")
