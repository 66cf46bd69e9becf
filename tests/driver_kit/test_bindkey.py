"""What is said of a key where the library that opens broadcasts is not installed."""

import sys

import pytest
from pydantic import SecretStr

from edge_agent import registry
from edge_agent.driver_kit.bindkey import unsealing

KEY = "231d39c1d7cc1ab1aee224cd096db932"


@pytest.mark.parametrize("driver", ["atc", "bthome", "mibeacon"])
def test_a_key_without_the_library_is_refused_when_the_device_is_opened(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = registry.load(driver)
    settings = {"address": "A4:C1:38:00:11:22"}
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    record.open(record.settings.model_validate(settings))
    with pytest.raises(ValueError, match=r"pip install 'smartpark-edge-agent\[ble-encryption\]'") as caught:
        record.open(record.settings.model_validate(settings | {"bindkey": KEY}))
    assert KEY not in str(caught.value)


def test_no_key_opens_nothing() -> None:
    assert unsealing(None) is None
    assert unsealing(SecretStr(KEY)) is not None
