"""What of the log an uplink gets: which devices, and which of their channels. Pure."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import partial

import orjson

from edge_agent.settings.uplink import Send

Passes = Callable[[str], bool]


def everything(_channel: str) -> bool:
    """Let every channel pass."""
    return True


def passing(send: Send) -> Passes:
    """Return what says of a channel whether its values are sent."""
    if "*" in send.channels and not send.without_channels:
        return everything
    return partial(_within, send.channels, send.without_channels)


def selects(send: Send, device: str, labels: Mapping[str, str], channels: Iterable[str]) -> bool:
    """Say whether a device is on an uplink: chosen by its id and its labels, with a channel that passes."""
    return (
        _within(send.devices, send.without, device)
        and send.labels.items() <= labels.items()
        and any(map(passing(send), channels))
    )


def narrowed(hash_: str, body: str, passes: Passes) -> tuple[str, str]:
    """Return the hash and the JSON of a description without the channels that do not pass.

    Where all pass it is the same description. Else it has a hash of its own: the same on each run.
    """
    described = orjson.loads(body)
    channels = described["channels"]
    left = {name: channel for name, channel in channels.items() if passes(name)}
    if len(left) == len(channels):
        return hash_, body
    described |= {"hash": "", "channels": left}
    digest = hashlib.sha256(orjson.dumps(described, option=orjson.OPT_SORT_KEYS))
    described["hash"] = digest.hexdigest()[: len(hash_)]
    return described["hash"], orjson.dumps(described).decode()


def _within(patterns: Iterable[str], without: Iterable[str], name: str) -> bool:
    return _matches(patterns, name) and not _matches(without, name)


def _matches(patterns: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
