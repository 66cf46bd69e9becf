"""How a BLE device is named in the settings: as people copy it, and what is said of what is no name."""

from typing import Any, cast

import pytest
from pydantic import ValidationError

from edge_agent import registry
from edge_agent.bus.advertisement import written
from edge_agent.driver import Beacon

OWNER, SPACE, TAG = "e2c56db5-dffb-48d2-b060-d0f5a71096e0", "8b0ca750e7a7c2a5fbd1", "00000000004a"


@pytest.mark.parametrize(
    ("driver", "copied"),
    [
        ("ruuvi", {"address": "a4:c1:38:00:11:22"}),
        ("ess", {"address": "a4:C1:38:00:11:22"}),
        ("ibeacon", {"uuid": OWNER.upper()}),
        ("ibeacon", {"uuid": OWNER.replace("-", "")}),
    ],
)
def test_upper_and_lower_case_are_the_same(driver: str, copied: dict[str, str]) -> None:
    taken = registry.load(driver).settings.model_validate(copied).model_dump()
    meant = {"address": "A4:C1:38:00:11:22", "uuid": OWNER}
    assert {key: taken[key] for key in copied} == {key: meant[key] for key in copied}


def test_a_tag_in_upper_case() -> None:
    record = registry.load("eddystone")
    device = record.open(
        record.settings.model_validate({"namespace": SPACE.upper(), "instance": TAG.upper()})
    )
    heard = written({"service_data": {"feaa": f"00E7{SPACE}{TAG}"}})
    assert cast("Beacon", device).decode(heard)[0] == ("occupancy", True)


@pytest.mark.parametrize(
    ("driver", "wrong", "message"),
    [
        ("ruuvi", {"address": "A4C138001122"}, "is no BLE address; write it as a scan shows it"),
        ("ruuvi", {"address": "A4:C1:38:00:11:22:33"}, "is no BLE address"),
        ("ibeacon", {"uuid": OWNER[1:]}, "is no UUID; write its 32 hex digits"),
        (
            "eddystone",
            {"namespace": SPACE, "instance": TAG[1:]},
            "is no instance; write its 12 hex digits",
        ),
    ],
)
def test_what_is_no_name_is_told_in_words(driver: str, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        registry.load(driver).settings.model_validate(wrong)
