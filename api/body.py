"""Reading a request's body within its limit, and no further.

Guarantees: a body that declares more than its limit is refused before a byte of it is read, one
that turns out larger is refused at the first chunk over the limit, and one that stops arriving is
given up after `TIMEOUT` seconds. A compressed body is refused: what it unpacks to is not bounded
by what was sent.
"""

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from api.problems import InvalidRequest, RequestTimeout, UnsupportedMediaType
from ledger.errors import TooLarge

#: Largest single event, in bytes of its request's body (or of its own JSON in a batch).
EVENT_LIMIT: Final = 256 * 1024
#: Largest batch, in bytes of its request's body.
BATCH_LIMIT: Final = 8 * 1024 * 1024
#: Most events in a batch.
BATCH_EVENTS: Final = 1000
#: Seconds within which a whole body must arrive.
TIMEOUT: Final = 30.0

_SPACE: Final = b" \t\r\n"


async def read_body(request: web.Request, limit: int, *, array_limit: int | None = None) -> bytes:
    """The whole body. With `array_limit`, a body whose first character opens a JSON array may be
    as large as that instead. Raises TooLarge, RequestTimeout, UnsupportedMediaType (compressed)
    and InvalidRequest (the transfer itself is malformed)."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("A compressed body is not taken: send it as it is.")
    if request.content_length is not None:
        _check(request.content_length, max(limit, array_limit or 0))
    try:
        async with asyncio.timeout(TIMEOUT):
            return await _read(request, limit, array_limit)
    except TimeoutError:
        raise RequestTimeout(
            f"The body did not arrive within {TIMEOUT:.0f} seconds; nothing was recorded."
        ) from None
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError):
        # The client broke off, or its chunks or length are not HTTP; nobody may be listening.
        raise InvalidRequest("The body did not arrive whole; nothing was recorded.") from None


async def _read(request: web.Request, limit: int, array_limit: int | None) -> bytes:
    parts: list[bytes] = []
    size = 0
    undecided = array_limit is not None
    async for chunk in request.content.iter_any():
        parts.append(chunk)
        size += len(chunk)
        if undecided and (text := chunk.lstrip(_SPACE)):
            undecided = False
            if text.startswith(b"["):
                limit = array_limit or limit
        _check(size, limit)
    return b"".join(parts)


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge(
            f"One event is at most {EVENT_LIMIT // 1024} KiB, and a batch at most {BATCH_EVENTS} "
            f"events and {BATCH_LIMIT // 1024 // 1024} MiB; nothing was recorded.",
            extra={"limit": limit},
        )
