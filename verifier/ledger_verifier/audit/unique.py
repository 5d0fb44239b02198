"""Looks for what must not occur twice in a log, with bounded memory.

Guarantees: every pair of equal keys is found, whatever their number. Records wait on disk, divided
by a hash that is keyed afresh for every run, so that no log can be made to fill one division, and
each division is sorted by itself. The file holds keyed hashes and positions and has no name.
"""

import hashlib
import secrets
import tempfile
import weakref
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

_DIVISIONS: Final = 256
_HASH: Final = 16
_RECORD: Final = _HASH + 1 + 8
_BUFFER: Final = 32 * 1024


class Duplicates:
    """Collects (kind, key, position); `pairs` then gives the keys that were met twice."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        # Also when what was being checked made the run end before it came to that.
        weakref.finalize(self, self._file.close)
        self._buffers = [bytearray() for _ in range(_DIVISIONS)]
        self._chunks: list[list[tuple[int, int]]] = [[] for _ in range(_DIVISIONS)]
        self._end = 0

    def close(self) -> None:
        """Drop everything."""
        self._file.close()

    def add(self, kind: int, key: str, position: int) -> None:
        """Take a key of a kind (0 to 255) met at a position."""
        hashed = hashlib.blake2b(
            key.encode(), digest_size=_HASH, key=self._secret, salt=bytes((kind,))
        ).digest()
        division = hashed[0]
        buffer = self._buffers[division]
        buffer += hashed + bytes((kind,)) + position.to_bytes(8)
        if len(buffer) >= _BUFFER:
            self._flush(division)

    def pairs(self) -> Iterator[tuple[int, int, int]]:
        """(kind, first position, later position) of every key met again."""
        for division in range(_DIVISIONS):
            self._flush(division)
            records = sorted(self._records(division))
            for before, after in pairwise(records):
                if before[:_HASH] == after[:_HASH]:
                    first, later = before[_HASH + 1 :], after[_HASH + 1 :]
                    yield after[_HASH], int.from_bytes(first), int.from_bytes(later)

    def _records(self, division: int) -> Iterator[bytes]:
        for offset, size in self._chunks[division]:
            self._file.seek(offset)
            chunk = self._file.read(size)
            for start in range(0, size, _RECORD):
                yield chunk[start : start + _RECORD]

    def _flush(self, division: int) -> None:
        buffer = self._buffers[division]
        if buffer:
            self._file.seek(self._end)
            self._file.write(buffer)
            self._chunks[division].append((self._end, len(buffer)))
            self._end += len(buffer)
            buffer.clear()
