"""Until when certificates hold. Only their validity is read (RFC 5280, 4.1): OpenSSL judges the rest."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.clock import SystemClock
from edge_agent.doctor.finding import Finding, Group
from edge_agent.settings.uplink import Uplink

_SOON_D = 30
_DAY_MS = 86_400_000
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_SEQUENCE, _VERSION, _UTC_TIME = 0x30, 0xA0, 0x17
_LONG = 0x80


def certificates(group: Group, uplink: Uplink) -> Iterator[Finding]:
    """Look at the files that an uplink names. Of several authorities the last to end counts."""
    for key, file, which in (("ca", uplink.ca, max), ("cert", uplink.cert, min)):
        if file is None:
            continue
        try:
            ends = [not_after(der) for der in _pieces(file)]
        except (OSError, ValueError, IndexError) as error:
            yield group.fail(f"{key} {file}", f"cannot be read ({error})", "write a PEM file there")
            continue
        if ends:
            yield remaining(group, f"{key} {file}", which(ends))
        else:
            yield group.fail(f"{key} {file}", "holds no certificate", "write a PEM file there")


def remaining(group: Group, what: str, end: datetime) -> Finding:
    """Judge how long a certificate still holds, by the clock of this machine."""
    now = SystemClock("always").wall_ms()
    days = (end.timestamp() * 1000 - now) / _DAY_MS
    day = f"{end:%Y-%m-%d}"
    if days < 0:
        return group.fail(
            what, f"ended on {day}", "replace it; or set this machine's clock, if that is wrong"
        )
    if days < _SOON_D:
        return group.warn(what, f"ends on {day}, in {days:.0f} days", "replace it before that day")
    return group.ok(what, f"holds until {day}")


def not_after(der: bytes) -> datetime:
    """Return when a certificate ends.

    Raises:
        ValueError, IndexError: it is no certificate.
    """
    _, whole, _ = _element(der, 0)
    _, body, _ = _element(whole, 0)
    at = 0
    fields: list[bytes] = []
    while at < len(body) and len(fields) < 4:  # noqa: PLR2004 - serial, algorithm, issuer, validity
        tag, content, at = _element(body, at)
        if tag != _VERSION:
            fields.append(content)
    _, _, second = _element(fields[3], 0)
    tag, text, _ = _element(fields[3], second)
    written = text.decode("ascii")
    if tag == _UTC_TIME:  # two digits: 50 to 99 are of the last century
        written = ("19" if written >= "50" else "20") + written
    return datetime.strptime(written, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def of_peer(found: dict[str, object] | None) -> datetime | None:
    """Read the end of a peer's certificate, as ``ssl`` tells it."""
    end = (found or {}).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(end), UTC) if isinstance(end, str) else None


def _pieces(file: Path) -> Iterator[bytes]:
    text = file.read_text("utf-8", "replace")
    for piece in text.split(_BEGIN)[1:]:
        yield ssl.PEM_cert_to_DER_cert(f"{_BEGIN}{piece.partition(_END)[0]}{_END}")


def _element(der: bytes, at: int) -> tuple[int, bytes, int]:
    """Return one element's tag and content, and where the next one begins (X.690, 8.1)."""
    tag, size = der[at], der[at + 1]
    at += 2
    if size & _LONG:
        count = size - _LONG
        size = int.from_bytes(der[at : at + count], "big")
        at += count
    return tag, der[at : at + size], at + size
