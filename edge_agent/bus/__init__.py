"""One shared medium with one owner: framing, the Modbus master, serial lines."""
