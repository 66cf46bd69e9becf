"""One table of a file is put, replaced or removed, and the rest of it stays as somebody wrote it."""

import tomllib
from typing import Any

import pytest

from edge_agent.settings.edit import with_table, without_table

FILES = {
    "empty": "",
    "plain": '# mine\n[bus.a]\nport = "/dev/a" # left\n\n[device.one]\ndriver = "x"\n',
    "in turns": '[device.one]\ndriver = "x"\n[bus.a]\nport = "/dev/a"\n[device.two]\ndriver = "y"\n'
    '[device.one.channel.power]\nname = "P"\n[bus.b]\nport = "/dev/b"\n',
    "inline": 'device = { one = { driver = "x" } }\nbus.a = { port = "/dev/a" }\n',
    "dotted": 'device.one.driver = "x"\ndevice.one.bus = "a"\nbus.a.port = "/dev/a"\n',
    "one table": '[device]\none = { driver = "x" }\n[bus]\na.port = "/dev/a"\n',
}
TABLE: dict[str, Any] = {
    "driver": "modbus",
    "settings": {"profile": "p", "address": 7, "key": {"secret": "s"}},
    "labels": {"a": "b"},
    "channel": {
        "power": {"calibrate": {"scale": 2.5}, "plausible": [float("-inf"), 3], "alarm": {"x": {"above": 1}}}
    },
}


@pytest.mark.parametrize("id_", ["one", "two", "new"])
@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_table_is_put_and_removed_and_the_rest_is_as_it_was(text: str, id_: str) -> None:
    raw = tomllib.loads(text)
    put = with_table(text, ("device", id_), TABLE)
    wanted = {**raw, "device": {**raw.get("device", {}), id_: TABLE}}
    assert tomllib.loads(put) == wanted, put
    for line in text.splitlines():
        assert "#" not in line or line in put
    gone = tomllib.loads(without_table(put, ("device", id_)))
    del wanted["device"][id_]
    assert {key: table for key, table in gone.items() if table} == {
        key: table for key, table in wanted.items() if table
    }
