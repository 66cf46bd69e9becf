"""Keys of devices that encrypt what they broadcast, and what they open. Our only door to cryptography.

BTHome, MiBeacon and pvvx's firmware all use AES-128-CCM with a check of 4 bytes (RFC 3610); nonce and
additional data differ.
"""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, SecretStr

from edge_agent.fault import Implausible

_KEY = re.compile(r"[0-9A-Fa-f]{32}")
_CHECK = 4  # bytes


def _key(text: SecretStr) -> SecretStr:
    if not _KEY.fullmatch(text.get_secret_value()):
        raise ValueError("is not a key; write its 16 bytes as 32 hex digits, in a secret file")
    return text


BindKey = Annotated[SecretStr, AfterValidator(_key)]
"""The key of a device that encrypts what it broadcasts, 16 bytes in hex. Configured as a secret."""

Unseal = Callable[[bytes, bytes, bytes], bytes]
"""Opens what is sealed, its check behind it: nonce, sealed, additional data. Raises Implausible."""


def unsealing(bindkey: SecretStr | None) -> Unseal | None:
    """Return what opens the broadcasts of a device with this key; None without a key.

    Raises:
        ValueError: the library for it is not installed.
    """
    if bindkey is None:
        return None
    try:  # 6 MB that only encrypted devices need
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESCCM  # noqa: PLC0415
    except ImportError as error:
        remedy = "install it with `pip install 'smartpark-edge-agent[ble-encryption]'`"
        raise ValueError(f"a bindkey needs cryptography; {remedy}") from error
    cipher = AESCCM(bytes.fromhex(bindkey.get_secret_value()), tag_length=_CHECK)

    def unseal(nonce: bytes, sealed: bytes, extra: bytes) -> bytes:
        try:
            return cipher.decrypt(nonce, sealed, extra)
        except (InvalidTag, ValueError):
            raise Implausible("it cannot be decrypted; is `bindkey` that of this device?") from None

    return unseal
