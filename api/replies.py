"""Replies that several routes make: JSON, bytes and text, each with its exact content type."""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web


def json_reply(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON reply; `body` may be bytes of JSON already made."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return web.Response(status=status, body=raw, content_type="application/json", headers=headers)


def bytes_reply(
    body: bytes, content_type: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A reply of exactly these bytes."""
    return web.Response(body=body, content_type=content_type, headers=headers)


def text_reply(body: str | bytes, headers: Mapping[str, str] | None = None) -> web.Response:
    """Plain text in UTF-8."""
    raw = body.encode() if isinstance(body, str) else body
    return web.Response(body=raw, content_type="text/plain", charset="utf-8", headers=headers)
