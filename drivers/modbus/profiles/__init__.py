"""Modbus device models as data, one TOML file each."""
