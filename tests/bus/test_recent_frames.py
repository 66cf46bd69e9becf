"""What is kept of the last frames, and what of it is shown."""

import pytest

from edge_agent.bus.recent_frames import FAILED, LAST, LONGEST, RecentFrames
from edge_agent.bus.redaction import in_hex


def test_few_are_kept_and_what_failed_stays() -> None:
    recent_frames = RecentFrames()
    for number in range(FAILED + 2):
        recent_frames.add(b"?", bytes([number]), "Garbled: checksum")
    for number in range(LAST + 5):
        recent_frames.add(b"?", b"!%d" % number)
    told = recent_frames.all()
    assert [one.heard for one in told[:2]] == [b"!24", b"!23"]
    assert [one.heard for one in told[LAST:]] == [b"\x05", b"\x04", b"\x03", b"\x02"]
    assert {one.fault for one in told[:LAST]} == {""}


def test_each_is_cut_short_and_says_how_long_it_was() -> None:
    recent_frames = RecentFrames()
    recent_frames.add(bytes(8), bytes(1000))
    (one,) = recent_frames.all()
    assert (len(one.heard), one.size) == (LONGEST, 1000)


def test_what_decoding_finds_wrong_marks_the_last_one() -> None:
    recent_frames = RecentFrames()
    recent_frames.failed("Garbled: of nothing")
    recent_frames.add(b"", b"a")
    recent_frames.add(b"", b"b")
    recent_frames.failed("Implausible: too hot")
    recent_frames.failed("Implausible: told twice")
    assert [one.fault for one in recent_frames.all()] == ["Implausible: too hot", ""]


@pytest.mark.parametrize(
    ("heard", "shown"),
    [
        ("FE 68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16", ""),
        (  # DL/T 645-2007, command 14: identifier, password, operator, value
            "68 61 01 00 00 00 00 68 14 06 33 35 78 9A BC DE 11 16 AA",
            "68 61 01 00 00 00 00 68 14 06 .. .. .. .. .. .. 11 16 AA",
        ),
        (
            "68 61 01 00 00 00 00 68 04 08 33 35",
            "68 61 01 00 00 00 00 68 04 08 .. ..",
        ),
        (  # the end of an answer looks like the head of a frame, with that of a command in it
            "35 68 43 16 FE FE FE FE 68 12 01 00 00 00 00 68 04 08 33 35",
            "35 68 43 16 FE FE FE FE 68 12 01 00 00 00 00 68 04 08 .. ..",
        ),
        ("68 61 01 00 00 00 00 68 91 04 33 33 34 33 14 16", ""),  # an answer
        ("01 50 31 02 28 31 32 33 34 29 03 66", "01 50 31 02 28 .. .. .. .. 29 03 66"),  # P1 (1234)
        ("00 FF 68 68", ""),
    ],
)
def test_what_may_be_a_password_is_not_shown(heard: str, shown: str) -> None:
    assert in_hex(bytes.fromhex(heard)) == (shown or heard)
