"""Reads a log over HTTP as C2SP tlog-tiles (docs/formats.md; c2sp.org/tlog-tiles v0.1.0).

Guarantees: one connection kept open; every reply bounded in bytes and in time; a kept-alive
connection that the server dropped is opened again once; no redirect is followed, so the token goes
nowhere but to the host that was named, and only with entry bundles. TLS certificates are verified.
"""

import http.client
import re
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

from ledger_verifier.audit.identity import VERSION
from ledger_verifier.audit.readers import AbsentError, UnreachableError
from ledger_verifier.formats.errors import FormatError, TileError
from ledger_verifier.formats.merkle import HASH_SIZE
from ledger_verifier.formats.note import MAX_NOTE
from ledger_verifier.formats.tiles import (
    MAX_ENTRY_SIZE,
    TILE_WIDTH,
    Tile,
    decode_entries,
)

#: Seconds without a byte, and for one reply in all.
IDLE_SECONDS: Final = 30.0
REPLY_SECONDS: Final = 180.0

#: Of a chunked reply: bytes of a line, chunks, and lines after the last chunk.
MAX_LINE: Final = 1024
MAX_CHUNKS: Final = 1 << 16
MAX_TRAILERS: Final = 100
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")

_GONE: Final = frozenset({404, 410})
_DENIED: Final = frozenset({401, 403})
_PURPOSE = re.compile(r"[a-z][a-z0-9-]{1,39}")


class HttpLogReader:
    """A `LogReader` over HTTP. `url` is what stands before `/checkpoint`; `purpose` says, where the
    log's keeper records who reads entries, what they are read for.

    Raises ValueError for a URL that is not one of a log, and for a token or purpose that is none.
    Close it after use.
    """

    live = True

    def __init__(
        self,
        url: str,
        token: str | None = None,
        purpose: str | None = None,
        *,
        idle_seconds: float = IDLE_SECONDS,
        reply_seconds: float = REPLY_SECONDS,
    ) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
            (parts.hostname or "").encode("idna")
        except ValueError:
            # UnicodeError, which is one, is what the name system's own rules raise.
            raise ValueError("the address of a log names no host that there can be") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the address of a log begins with http:// or https://")
        if parts.username or parts.query or parts.fragment or not url.isascii():
            raise ValueError("the address of a log holds no user name, query or fragment")
        if not url.isprintable() or " " in url:
            raise ValueError("the address of a log holds no space and no control character")
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            raise ValueError("the token holds characters that no token has")
        if purpose is not None and not _PURPOSE.fullmatch(purpose):
            raise ValueError("the purpose is not a code such as s62-4-a")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = port
        self._prefix = parts.path.rstrip("/")
        self._token = token
        self._purpose = purpose
        self._idle, self._limit = idle_seconds, reply_seconds
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def checkpoint(self) -> bytes:
        """The checkpoint served now; raises UnreachableError."""
        raw = self._get("checkpoint", MAX_NOTE)
        if raw is None:
            raise UnreachableError("the server has no /checkpoint at this address")
        return raw

    def tile(self, tile: Tile) -> bytes:
        """A hash tile; raises AbsentError, UnreachableError or TileError."""
        return self._fetch(tile, HASH_SIZE)

    def entries(self, tile: Tile) -> list[bytes]:
        """The entries of a bundle; raises AbsentError, UnreachableError or TileError."""
        raw = self._get(tile.path, tile.width * (2 + MAX_ENTRY_SIZE))
        if raw is not None:
            return decode_entries(raw, tile.width)
        if tile.width < TILE_WIDTH:
            full = Tile(None, tile.index)
            raw = self._get(full.path, TILE_WIDTH * (2 + MAX_ENTRY_SIZE))
            if raw is not None:
                return decode_entries(raw, TILE_WIDTH)[: tile.width]
        raise AbsentError("the log does not serve this entry bundle")

    def _fetch(self, tile: Tile, cell: int) -> bytes:
        raw = self._get(tile.path, tile.width * cell)
        if raw is None and tile.width < TILE_WIDTH:
            # A partial tile may be withdrawn once the full one exists.
            raw = self._get(Tile(tile.level, tile.index).path, TILE_WIDTH * cell)
            raw = raw[: tile.width * cell] if raw is not None else None
        if raw is None:
            raise AbsentError("the log does not serve this tile")
        return raw

    def _get(self, path: str, limit: int) -> bytes | None:
        """Body of a reply of status 200, None for 404 and 410."""
        headers = {"User-Agent": f"ledger-verify/{VERSION}", "Accept": "*/*"}
        if self._token is not None and path.startswith("tile/entries/"):
            headers["Authorization"] = f"Bearer {self._token}"
            if self._purpose is not None:
                headers["Purpose-Of-Use"] = self._purpose
        reused = self._connection is not None
        try:
            return self._exchange(path, headers, limit)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
            self.close()
            if not reused:
                raise UnreachableError("the server closes the connection") from error
        return self._again(path, headers, limit)

    def _again(self, path: str, headers: dict[str, str], limit: int) -> bytes | None:
        try:
            return self._exchange(path, headers, limit)
        except ConnectionError as error:
            self.close()
            raise UnreachableError("the server closes the connection") from error

    def _exchange(self, path: str, headers: dict[str, str], limit: int) -> bytes | None:
        try:
            connection = self._connect()
            with self._bounded(connection):
                connection.request("GET", f"{self._prefix}/{path}", headers=headers)
                reply = connection.getresponse()
                return self._body(reply, path, limit)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            raise
        except TimeoutError as error:
            self.close()
            raise UnreachableError(f"the server does not answer in time ({path})") from error
        except FormatError:
            raise
        except (OSError, ValueError, http.client.HTTPException) as error:
            # ValueError: the library's, for what it did not expect of a server.
            self.close()
            name = type(error).__name__
            raise UnreachableError(f"the server cannot be reached: {name} ({path})") from error

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            self._connection = kind(self._host, self._port, timeout=self._idle)
        if self._connection.sock is None:
            self._connection.connect()
        return self._connection

    @contextmanager
    def _bounded(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        """Cut the connection when a reply takes longer in all than it may: a server that sends a
        byte now and then never runs into the idle limit."""
        cut = threading.Event()
        sock: socket.socket = connection.sock

        def stop() -> None:
            cut.set()
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._limit, stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            if cut.is_set():
                raise TimeoutError from error
            raise
        finally:
            timer.cancel()

    def _body(self, reply: http.client.HTTPResponse, path: str, limit: int) -> bytes | None:
        if reply.status != 200:
            self.close()
            if reply.status in _GONE:
                return None
            if reply.status in _DENIED:
                raise UnreachableError(
                    f"the server refuses {path} (status {reply.status}): entry bundles need "
                    "a token of the auditor role, given with --token or LEDGER_TOKEN"
                )
            raise UnreachableError(f"the server answers {path} with status {reply.status}")
        raw = _chunks(reply, limit) if reply.chunked else reply.read(limit + 1)
        if len(raw) <= limit and reply.length:
            raise http.client.IncompleteRead(raw, reply.length)
        if len(raw) > limit:
            self.close()
            raise TileError("the reply is larger than it may be")
        encoding = (reply.getheader("Content-Encoding") or "identity").lower()
        if encoding == "gzip":
            raw = _gunzip(raw, limit)
        elif encoding != "identity":
            raise UnreachableError(f"the server answers {path} in an encoding not asked for")
        if not reply.isclosed():
            reply.read()
        return raw


def _chunks(reply: http.client.HTTPResponse, limit: int) -> bytes:
    """The body of a chunked reply, or more than `limit` bytes of one that has more. The library
    takes a negative size for one without a limit, and reads on for as long as a server sends."""
    body, count = bytearray(), 0
    while True:
        size = _CHUNK.fullmatch(reply.fp.readline(MAX_LINE))
        count += 1
        if size is None or count > MAX_CHUNKS:
            raise http.client.HTTPException("chunk")
        length = int(size[1], 16)
        if length == 0:
            break
        part = reply.fp.read(min(length, limit + 1 - len(body)))
        body += part
        if len(body) > limit:
            return bytes(body)
        if len(part) < length:
            raise http.client.IncompleteRead(part, length - len(part))
        if reply.fp.read(2) != b"\r\n":
            raise http.client.HTTPException("chunk")
    for _ in range(MAX_TRAILERS):
        if reply.fp.readline(MAX_LINE) in (b"\r\n", b"\n"):
            reply.close()
            return bytes(body)
    raise http.client.HTTPException("trailer")


def _gunzip(raw: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        data = inflater.decompress(raw, limit + 1)
    except zlib.error:
        raise TileError("the reply is not gzip, though it says so") from None
    if len(data) > limit or not inflater.eof or inflater.unused_data:
        raise TileError("the reply is larger than it may be, or cut short")
    return data
