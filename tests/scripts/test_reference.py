"""docs/reference.md is what the models and config/agent.toml say."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "reference.py"))


def test_it_is_up_to_date() -> None:
    written = (ROOT / "docs" / "reference.md").read_text("utf-8")
    assert written == SCRIPT["page"](), "docs/reference.md is out of date; run `make pages`"


def test_types_defaults_and_meanings_are_found() -> None:
    told = {key.path: key[1:] for key in SCRIPT["keys"]()}
    assert told["gateway.id"] == ("text", "required", "readings are numbered under it: choose it once")
    assert told["outbox.window"] == (
        "duration",
        '"1s"',
        "a power cut loses at most this; at least 50ms",
    )
    assert told["uplink.*.password"][:2] == ("text or a secret", "")
    assert told["uplink.*.max_packet"][:2] == ("size", "")
    assert told["bus.*.direction"][:2] == ("`auto`, `rts`, `rts-inverted`", '"auto"')
    assert told["device.*.class"][1] == '"normal"'
    assert told["device.*.channel.*.hold"][0] == "duration"
