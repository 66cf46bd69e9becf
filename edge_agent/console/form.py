"""What a form of our own pages sends, within limits."""

import asyncio
from urllib.parse import parse_qsl, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

_LARGEST = 65_536  # bytes
_MOST = 500  # fields
_WITHIN = 10.0  # seconds


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form; of several with one name the last.

    Raises:
        HTTPException: it is another site's, too large, too slow, or no form.
    """
    known: dict[str, str] | None = getattr(request.state, "form", None)
    if known is not None:
        return known
    if not _own(request):
        raise HTTPException(403)
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = bytearray()
    try:
        async with asyncio.timeout(_WITHIN):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _LARGEST:
                    raise HTTPException(413)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:  # nobody hears the answer
        raise HTTPException(400) from None
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_MOST
        )
    except ValueError:
        raise HTTPException(400) from None
    request.state.form = dict(fields)
    return dict(fields)


def _own(request: Request) -> bool:
    """Say whether it is from one of our pages: each browser names the site that a form is from."""
    try:
        return urlsplit(request.headers.get("origin", "null")).netloc == request.headers.get("host")
    except ValueError:
        return False
