"""DL/T 645 meter models as data, one TOML file each."""
