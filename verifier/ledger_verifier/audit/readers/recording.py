"""Keeps what another reader yields, so that a verified log can be saved as a bundle.

Guarantees: memory is proportional to the number of tiles, not to their bytes, which wait in an
unnamed temporary file. What is saved is what was read, bad or good: it is evidence either way. Of a
tile that was read twice, because the log went on meanwhile, the last is saved.
"""

import tempfile
from types import TracebackType
from typing import BinaryIO, Self

from ledger_verifier.audit.readers import LogReader
from ledger_verifier.formats.bundle import CHECKPOINT, BundleWriter
from ledger_verifier.formats.tiles import Tile, encode_entries


class RecordingReader:
    """A `LogReader` that passes another through and remembers it. Close it after use."""

    def __init__(self, inner: LogReader) -> None:
        self._inner = inner
        self._checkpoint: bytes | None = None
        self._places: dict[tuple[int | None, int], tuple[str, int, int]] = {}
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop what was kept."""
        self._spool.close()

    @property
    def live(self) -> bool:
        return self._inner.live

    def checkpoint(self) -> bytes:
        """The checkpoint; the last one read is the one saved."""
        self._checkpoint = self._inner.checkpoint()
        return self._checkpoint

    def tile(self, tile: Tile) -> bytes:
        """A hash tile, kept under its path."""
        data = self._inner.tile(tile)
        self._keep(tile, data)
        return data

    def entries(self, tile: Tile) -> list[bytes]:
        """Entries, kept as the bundle they came in."""
        entries = self._inner.entries(tile)
        self._keep(tile, encode_entries(entries))
        return entries

    def save(self, file: BinaryIO) -> bool:
        """Write what was read as a log bundle; returns False when no checkpoint was read."""
        if self._checkpoint is None:
            return False
        writer = BundleWriter(file)
        writer.add(CHECKPOINT, self._checkpoint)
        for name, offset, size in sorted(self._places.values()):
            self._spool.seek(offset)
            writer.add(name, self._spool.read(size))
        writer.close()
        return True

    def _keep(self, tile: Tile, data: bytes) -> None:
        self._places[(tile.level, tile.index)] = (tile.path, self._spool.seek(0, 2), len(data))
        self._spool.write(data)
