"""Servers and files that are made to use up memory, or to make the verifier fall over."""

import resource
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger_verifier.audit.readers import UnreachableError
from ledger_verifier.audit.readers.http import HttpLogReader
from ledger_verifier.formats.bundle import MAX_DIRECTORY, BundleReader
from ledger_verifier.formats.errors import BundleError, TileError
from ledger_verifier.formats.tiles import Tile

MEGABYTE = 1024 * 1024


@contextmanager
def answering(start: bytes, flood: int = 0) -> Iterator[str]:
    """A server that answers with these bytes, and then with so many megabytes of zeros."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(start)
                for _ in range(flood):
                    connection.sendall(bytes(MEGABYTE))
            except OSError:
                return  # the client had enough

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join()
        listener.close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "size",
    [b"-5", b"-ffffffff", b"+5", b"0x5", b"1_0", b" ", b"", b"5" * 5000, b"\xff", b"7fffffffffff"],
)
def test_chunk_sizes_that_are_none(size: bytes) -> None:
    with answering(CHUNKED + size + b"\r\n", flood=64) as url:
        reader = HttpLogReader(url)
        tracemalloc.start()
        with pytest.raises((UnreachableError, TileError)):
            reader.tile(Tile(0, 0))
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        reader.close()
    assert highest < 8 * MEGABYTE


@pytest.mark.parametrize(
    "rest",
    [
        b"2000\r\n" + bytes(8192) + b"xx0\r\n\r\n",  # no line end after a chunk
        b"2000\r\n" + bytes(8192) + b"\r\n0\r\n" + b"A: b\r\n" * 500,  # trailers without end
        b"2001\r\n" + bytes(8193) + b"\r\n0\r\n\r\n",
        b"1\r\na\r\n" * 10_000,
        b"5\r\nab",
    ],
)
def test_chunks_that_are_not_right(rest: bytes) -> None:
    with answering(CHUNKED + rest) as url:
        reader = HttpLogReader(url)
        with pytest.raises((UnreachableError, TileError)):
            reader.tile(Tile(0, 0))
        reader.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://a..b/",
        f"http://{'a' * 64}.example/",
        "http://.example/",
        "http://exam\x00ple.org/",
        "http://example.org/a b",
        "http://example.org/a\tb",
        "http://[::1",
        "http://example.org:99999",
    ],
)
def test_addresses_that_no_name_server_takes(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        HttpLogReader(url)


def test_such_an_address_on_the_command_line(tmp_path: Path) -> None:
    from .test_cli import run
    from .world import policy

    path = tmp_path / "policy"
    path.write_bytes(policy().encode())
    result = run("log", "http://a..b/", "--policy", str(path))
    assert (result.returncode, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr


def sparse(path: Path, count: int, size: int) -> Path:
    """A file with an end that promises a directory of this size, and nothing but a hole before."""
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, 0)
    wide += struct.pack("<4sLQL", b"PK\6\7", 0, size, 1)
    small = min(count, 0xFFFF)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, small, small, min(size, 0xFFFFFFFF), 0, 0)
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(wide + end)
    return path


@pytest.mark.parametrize(
    ("count", "size"),
    [(70_000, 1 << 38), (1 << 20, 1 << 34), (1 << 20, MAX_DIRECTORY), (70_000, 70_000 * 186)],
)
def test_a_sparse_file_takes_no_memory(tmp_path: Path, count: int, size: int) -> None:
    with sparse(tmp_path / "sparse", count, size).open("rb") as file:
        tracemalloc.start()
        with pytest.raises(BundleError):
            BundleReader(file)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert highest < 4 * MEGABYTE


def test_a_sparse_bundle_on_the_command_line(tmp_path: Path) -> None:
    """Under a limit on memory, as a process: a report, and no MemoryError."""
    from .world import policy

    trust, path = tmp_path / "policy", tmp_path / "sparse"
    trust.write_bytes(policy().encode())
    sparse(path, 70_000, 1 << 38)
    with path.open("r+b") as file:
        file.write(b"PK\3\4")
    limit = 1 << 30
    script = f"""
        import resource, sys
        resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
        from ledger_verifier import cli
        sys.exit(cli.main(["bundle", {str(path)!r}, "--policy", {str(trust)!r}]))
    """
    assert hasattr(resource, "RLIMIT_AS")
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 1
    assert result.stdout.startswith("FAILED")
    assert "Traceback" not in result.stderr
