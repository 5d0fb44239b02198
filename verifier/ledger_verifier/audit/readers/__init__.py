"""Where the engine gets its bytes from: whatever yields a checkpoint, hash tiles and entries.

Guarantees of every reader: it raises the errors below, or a `FormatError` for bytes that cannot be
what was asked for, and nothing else; what it returns is bounded in size. It checks no signature and
no hash: that is the engine's work.
"""

from collections.abc import Sequence
from typing import Protocol

from ledger_verifier.formats.tiles import Tile


class ReaderError(Exception):
    """Base of what a reader raises. The message is fit for a report: it holds no content."""


class AbsentError(ReaderError):
    """The log does not give what its checkpoint commits it to: the log FAILS. `position` is that
    of the first entry that is missing, where the reader knows it."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason)
        self.position = position


class DamagedTileError(ReaderError):
    """A hash tile is damaged where it is kept: the log FAILS. `content` is what is there all the
    same, to be checked, so that the damage is found to the hash."""

    def __init__(self, reason: str, content: bytes) -> None:
        super().__init__(reason)
        self.content = content


class DamagedEntriesError(ReaderError):
    """An entry bundle is damaged where it is kept: the log FAILS. `content` is its entries all the
    same, to be checked, so that the damage is found to the entry."""

    def __init__(self, reason: str, content: Sequence[bytes]) -> None:
        super().__init__(reason)
        self.content = list(content)


class LackingError(ReaderError):
    """The input at hand lacks it, which says nothing about the log: UNVERIFIABLE."""


class UnreachableError(ReaderError):
    """Nothing more can be had from this source: the run ends, UNVERIFIABLE."""


class LogReader(Protocol):
    """A log to be verified. A `Tile` is asked for with the width that the checkpoint implies."""

    @property
    def live(self) -> bool:
        """Whether asking again may bring a newer checkpoint."""

    def checkpoint(self) -> bytes:
        """The newest signed checkpoint."""

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a hash tile: its first `width` cells."""

    def entries(self, tile: Tile) -> list[bytes]:
        """The first `width` entries of an entry bundle; one that has expired has no bytes."""
