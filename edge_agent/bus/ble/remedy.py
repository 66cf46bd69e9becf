"""Why no scan could be started, and what to do."""

from collections.abc import Mapping


def reason(error: BaseException) -> str:
    """Word why no scan could be started, with the remedy."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    hints: Mapping[str, str] = {
        "ServiceUnknown": "bluetoothd does not run; sudo systemctl start bluetooth",
        "FileNotFoundError": "there is no system bus; is this a container? mount /run/dbus",
        "not found": "there is no such adapter; plug it in, or see bluetoothctl list",
        "NotReady": "the adapter has no power; bluetoothctl power on, or rfkill unblock bluetooth",
        "POWERED_OFF": "the adapter has no power; bluetoothctl power on, or rfkill unblock bluetooth",
        "InProgress": "bluetoothd is busy; if it stays so, sudo systemctl restart bluetooth",
        "AccessDenied": "this user may not use bluetooth; let it reach the system bus",
        "DENIED_BY_SYSTEM": "this user may not use bluetooth; let it reach the system bus",
    }
    return next((f"{hint} ({text})" for mark, hint in hints.items() if mark in text), text)
