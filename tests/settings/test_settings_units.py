import pytest

from edge_agent.settings.units import duration, readings, size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("1.5s", 1.5),
        ("2m", 120),
        ("1h", 3600),
        ("7d", 604_800),
        ("10 s", 10),
        ("0s", 0),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["30", "", "s", "-1s", "1e3s", "30 sec", "1h30m", "٣s", "4000d", 30, 1.5, True, None, []]
)
def test_what_is_no_duration_is_refused_with_a_remedy(text: object) -> None:
    with pytest.raises(ValueError, match="; write"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("512MB", 512_000_000), ("1KB", 1000), ("64KiB", 65_536), ("1.5MiB", 1_572_864), ("2GB", 2 * 10**9)],
)
def test_sizes_are_bytes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["512", "512mb", "512 MB!", "B", 512, None])
def test_what_is_no_size_is_refused_with_a_remedy(text: object) -> None:
    with pytest.raises(ValueError, match="; write"):
        size(text)


def test_readings_are_counted() -> None:
    assert readings("20000 readings") == 20_000
    assert readings("1 reading") == 1


@pytest.mark.parametrize("text", ["20000", "1.5 readings", 20_000, "many readings"])
def test_what_is_no_number_of_readings_is_refused_with_a_remedy(text: object) -> None:
    with pytest.raises(ValueError, match='; write it as "20000 readings"'):
        readings(text)
