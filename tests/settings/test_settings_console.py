"""Where the operators' page may be."""

import pytest

from tests.settings.conftest import Refused


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('listen = ":80"', "console.listen: is no address to listen at; write address:port"),
        ('listen = "127.0.0.1:99999"', "console.listen: is no address to listen at"),
        ('listen = "localhost:80"', "console.listen: names no address of this machine; write its number"),
        ('listen = "0.0.0.0:80"', "console: would send passwords in the clear; add cert = and key ="),
        ('listen = "[::]:80"', "console: would send passwords in the clear"),
        ('key = "/etc/hostname"', "console: has a key without a certificate; add cert ="),
    ],
)
def test_what_it_may_not_say(refused: Refused, text: str, wrong: str) -> None:
    (problem,) = refused(f"[console]\n{text}")
    assert wrong in problem
