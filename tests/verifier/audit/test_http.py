"""The reader over HTTP, against servers that misbehave."""

import gzip
import socket
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ledger_verifier.audit.engine import Options, verify_log
from ledger_verifier.audit.readers import AbsentError, ReaderError, UnreachableError
from ledger_verifier.audit.readers.http import HttpLogReader
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.errors import TileError
from ledger_verifier.formats.tiles import Tile

from .conftest import SIZE, Verify
from .world import TOKEN, LogServer, Reply, World, change_entry, policy, serving


@contextmanager
def reading(
    server: LogServer, token: str | None = TOKEN, purpose: str | None = None, **limits: float
) -> Iterator[HttpLogReader]:
    reader = HttpLogReader(server.url, token, purpose, **limits)
    try:
        yield reader
    finally:
        reader.close()


def test_one_connection_serves_a_whole_log(members: dict[str, bytes]) -> None:
    with serving(members) as server, reading(server) as reader:
        report = verify_log(reader, policy())
        assert report.verdict is Verdict.VERIFIED
        assert len(server.requests) == len(members)
        assert len(set(server.requests)) == len(members)


def test_many_changed_entries_are_fetched_once_more_and_no_oftener(
    members: dict[str, bytes], world: World
) -> None:
    for position in range(10, 40):
        change_entry(members, SIZE, position, world.entries[position + 1])
    with serving(members) as server, reading(server) as reader:
        report = verify_log(reader, policy())
        assert report.failures[0].position == 10
        fetched = Counter(path for path in server.requests if "/entries/" in path)
    assert max(fetched.values()) == 2


def test_a_prefix_before_the_paths(members: dict[str, bytes]) -> None:
    with serving({f"logs/one/{name}": raw for name, raw in members.items()}) as server:
        reader = HttpLogReader(server.url + "/logs/one/")
        assert reader.checkpoint() == members["checkpoint"]
        reader.close()


def test_the_token_goes_with_entry_bundles_alone(members: dict[str, bytes]) -> None:
    seen: dict[str, str | None] = {}

    class Watching(LogServer):
        def reply(self, path: str, authorization: str | None) -> Reply:
            seen[path] = authorization
            return super().reply(path, authorization)

    server = Watching(members)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        with reading(server) as reader:
            reader.checkpoint()
            reader.tile(Tile(0, 0))
            reader.entries(Tile(None, 0))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert seen == {
        "/checkpoint": None,
        "/tile/0/000": None,
        "/tile/entries/000": f"Bearer {TOKEN}",
    }


def test_without_a_token_nothing_is_decided(members: dict[str, bytes]) -> None:
    with serving(members) as server, reading(server, None) as reader:
        report = verify_log(reader, policy())
    assert report.verdict is Verdict.UNVERIFIABLE
    assert "auditor" in report.lacking[0]
    assert report.tree_size == SIZE


def test_a_connection_closed_after_every_reply(members: dict[str, bytes]) -> None:
    with serving(members) as server, reading(server) as reader:
        server.hang_up = True
        assert verify_log(reader, policy()).verdict is Verdict.VERIFIED


def test_a_partial_tile_withdrawn_for_the_full_one(world: World) -> None:
    """The log grew to 600 while an auditor verifies it at 500."""
    now = World(entries=world.entries[:500]).checkpoint()
    with serving({**world.members(), "checkpoint": now}) as server, reading(server) as reader:
        report = verify_log(reader, policy())
    assert report.verdict is Verdict.FAILED  # tile/1/000.p/1 has no full successor yet
    members = {**world.members(), "checkpoint": now}
    members["tile/1/000.p/1"] = members["tile/1/000.p/2"][:32]
    with serving(members) as server, reading(server) as reader:
        report = verify_log(reader, policy())
    assert report.verdict is Verdict.VERIFIED
    assert report.tree_size == 500


def test_compressed_entry_bundles(members: dict[str, bytes]) -> None:
    with serving(members) as server, reading(server) as reader:
        for name in members:
            if name.startswith("tile/entries/"):
                body = gzip.compress(members[name])
                server.replies[name] = Reply(body=body, headers={"Content-Encoding": "gzip"})
        assert verify_log(reader, policy()).verdict is Verdict.VERIFIED


TILE = "tile/0/000"
GZIP = {"Content-Encoding": "gzip"}
REPLIES = {
    "too large": (Reply(body=bytes(8193)), TileError),
    "a bomb": (Reply(body=gzip.compress(bytes(9_000_000)), headers=GZIP), TileError),
    "a small bomb": (Reply(body=gzip.compress(bytes(100_000)), headers=GZIP), TileError),
    "no gzip": (Reply(body=bytes(100), headers=GZIP), TileError),
    "gzip and more": (Reply(body=gzip.compress(b"a") + b"b", headers=GZIP), TileError),
    "gzip cut short": (Reply(body=gzip.compress(b"abc")[:-4], headers=GZIP), TileError),
    "deflate": (
        Reply(body=zlib.compress(b"a"), headers={"Content-Encoding": "deflate"}),
        UnreachableError,
    ),
    "not found": (Reply(404), AbsentError),
    "gone": (Reply(410), AbsentError),
    "unauthenticated": (Reply(401), UnreachableError),
    "forbidden": (Reply(403), UnreachableError),
    "broken": (Reply(500), UnreachableError),
    "busy": (Reply(503), UnreachableError),
    "moved": (Reply(302, headers={"Location": "http://127.0.0.1:1/"}), UnreachableError),
    "no content": (Reply(204), UnreachableError),
    "cut short": (Reply(body=bytes(99), missing=100, hang_up=True), UnreachableError),
    "chunked wrongly": (
        Reply(body=b"zz\r\n", headers={"Transfer-Encoding": "chunked"}, hang_up=True),
        UnreachableError,
    ),
}


@pytest.mark.parametrize("name", REPLIES)
def test_replies_that_are_refused(members: dict[str, bytes], name: str) -> None:
    reply, expected = REPLIES[name]
    with serving(members) as server, reading(server) as reader:
        server.replies[TILE] = reply
        with pytest.raises(expected) as caught:
            reader.tile(Tile(0, 0))
        assert isinstance(caught.value, ReaderError | TileError)
        del server.replies[TILE]
        assert reader.tile(Tile(0, 0)) == members[TILE]


def test_a_chunked_reply(members: dict[str, bytes]) -> None:
    raw = members[TILE]
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(raw), raw)
    with serving(members) as server, reading(server) as reader:
        server.replies[TILE] = Reply(body=body, headers={"Transfer-Encoding": "chunked"})
        assert reader.tile(Tile(0, 0)) == raw
        assert reader.tile(Tile(0, 1)) == members["tile/0/001"]


@pytest.mark.parametrize("status", [500, 401, 302])
def test_a_server_that_stops_in_the_middle(over_http: Verify, world: World, status: int) -> None:
    members = world.members()
    with serving(members) as server, reading(server) as reader:
        server.replies["tile/entries/001"] = Reply(status)
        report = verify_log(reader, policy())
    assert report.verdict is Verdict.UNVERIFIABLE
    assert report.checked["entries"] == 256
    assert "first 256 entries" in report.lacking[0]


def test_what_failed_before_the_server_stopped_still_counts(world: World) -> None:
    members = world.members()
    members["tile/entries/000"] = members["tile/entries/000"][:-1]
    with serving(members) as server, reading(server) as reader:
        server.replies["tile/entries/001"] = Reply(500)
        assert verify_log(reader, policy()).verdict is Verdict.FAILED


@contextmanager
def raw_server(*answers: bytes | None) -> Iterator[str]:
    """A server that gives each connection one answer, whatever is asked; None: says nothing until
    the client goes away."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                if answer is None:
                    connection.recv(65536)
                else:
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join()
        listener.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    ],
)
def test_what_is_no_http(answer: bytes) -> None:
    with raw_server(answer) as url:
        reader = HttpLogReader(url)
        report = verify_log(reader, policy(), options=Options(wait=0.0))
        reader.close()
    assert report.verdict in (Verdict.UNVERIFIABLE, Verdict.FAILED)


def test_a_server_that_says_nothing() -> None:
    with raw_server(None) as url:
        reader = HttpLogReader(url, idle_seconds=0.1)
        with pytest.raises(UnreachableError, match="in time"):
            reader.checkpoint()


def test_a_reply_that_takes_too_long_in_all() -> None:
    """The idle limit alone would let a server keep an auditor waiting for ever."""
    listener = socket.create_server(("127.0.0.1", 0))

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            connection.settimeout(0.01)
            for _ in range(2000):
                try:
                    connection.sendall(b"x")
                    if connection.recv(1) == b"":
                        return
                except TimeoutError:
                    continue
                except OSError:
                    return

    thread = threading.Thread(target=trickle)
    thread.start()
    reader = HttpLogReader(
        f"http://127.0.0.1:{listener.getsockname()[1]}", idle_seconds=5.0, reply_seconds=0.2
    )
    with pytest.raises(UnreachableError, match="in time"):
        reader.checkpoint()
    reader.close()
    thread.join()
    listener.close()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    reader = HttpLogReader(f"http://127.0.0.1:{port}")
    report = verify_log(reader, policy())
    assert report.verdict is Verdict.UNVERIFIABLE
    assert "cannot be reached" in report.lacking[0]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "ftp://example.org",
        "file:///etc/passwd",
        "http://",
        "http://user:password@example.org",
        "http://example.org?x=1",
        "http://example.org/#x",
        "http://example.org:x",
        "http://ex\u00e4mple.org",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        HttpLogReader(url)


@pytest.mark.parametrize("token", ["a b", "a\nb", "\u00e9", "a\r\nX: y"])
def test_tokens_that_are_refused(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        HttpLogReader("http://127.0.0.1", token)
