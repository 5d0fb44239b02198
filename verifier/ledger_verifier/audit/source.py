"""What a log gives, with whatever is wrong with getting it already reported.

Guarantees: a tile or bundle that is not there, or not of its size, is reported once, as a failure
or as lacking (see `readers`); what is returned has the size asked for; `unread` covers every entry
of a bundle that was asked for and not had. UnreachableError, which ends a run, is let through.
"""

from collections.abc import Iterable
from heapq import merge
from typing import Final

from ledger_verifier.audit.readers import (
    AbsentError,
    DamagedEntriesError,
    DamagedTileError,
    LackingError,
    LogReader,
)
from ledger_verifier.audit.report.model import Failure, Findings, span_words
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.merkle import HASH_SIZE
from ledger_verifier.formats.tiles import Tile

#: Most ranges kept; the last one then covers whatever is unread after it too.
MAX_RANGES: Final = 50


class Unread:
    """Entries that could not be read: how many, and in which ranges, met in ascending order."""

    def __init__(self) -> None:
        self.count = 0
        self._ranges: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """First and last position of each range."""
        return tuple((first, end - 1) for first, end in self._ranges)

    @property
    def words(self) -> str:
        """All of it in words."""
        listed = [span_words(first, last) for first, last in self.ranges]
        if len(listed) == MAX_RANGES:
            listed[-1] = f"others among {listed[-1]}"
        if len(listed) > 1:
            listed[-2:] = [f"{listed[-2]} and {listed[-1]}"]
        where = "position" if self.count == 1 else "positions"
        noun = "entry" if self.count == 1 else "entries"
        return f"{self.count} {noun} that could not be read: {where} {', '.join(listed)}"

    def add(self, first: int, end: int) -> None:
        """Take in the entries from `first` up to, not including, `end`; those met already are not
        counted twice."""
        ranges = self._ranges
        first = max(first, ranges[-1][1]) if ranges else first
        if first >= end:
            return
        self.count += end - first
        if ranges and (ranges[-1][1] == first or len(ranges) == MAX_RANGES):
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((first, end))

    def joined(self, spans: Iterable[tuple[int, int]]) -> "Unread":
        """These and the entries of other spans, first and last position, in ascending order."""
        both = Unread()
        for first, last in merge(self.ranges, spans):
            both.add(first, last + 1)
        return both

    def until(self, first: int, end: int) -> None:
        """Nothing from `first` to `end` was read, whatever was tried there."""
        kept = [(a, min(b, first)) for a, b in self._ranges if a < first]
        self.count -= sum(b - max(a, first) for a, b in self._ranges if b > first)
        self._ranges = kept
        self.add(first, end)


class Source:
    """The tiles and entry bundles of one log."""

    def __init__(self, reader: LogReader, findings: Findings) -> None:
        self._reader = reader
        self._findings = findings
        self._reported: set[str] = set()
        #: Entry bundles in a row, up to the last one asked for, that could not be had.
        self.absent = 0
        #: Whether everything asked for was there.
        self.whole = True
        self.unread = Unread()

    def tile(self, tile: Tile) -> bytes | None:
        """The cells of a hash tile, or None when they cannot be had."""
        try:
            data = self._reader.tile(tile)
        except DamagedTileError as error:
            self._wrong(tile, f"{error}; its hashes were checked all the same", part="damage")
            data = error.content
        except (AbsentError, FormatError) as error:
            self._wrong(tile, str(error))
            return None
        except LackingError as error:
            self._lacking(tile, str(error))
            return None
        if len(data) == tile.width * HASH_SIZE:
            return data
        self._wrong(tile, f"has {len(data)} bytes, not {tile.width * HASH_SIZE}")
        return None

    def bundle(self, tile: Tile) -> list[bytes] | None:
        """The entries of a bundle, or None when they cannot be had."""
        self.absent += 1
        try:
            entries = self._reader.entries(tile)
        except DamagedEntriesError as error:
            self._wrong(tile, f"{error}; its entries were checked all the same", part="damage")
            entries = error.content
        except AbsentError as error:
            self._unreadable(tile, str(error), error.position)
            return None
        except FormatError as error:
            self._unreadable(tile, str(error))
            return None
        except LackingError as error:
            self._lacking(tile, str(error))
            self.unread.add(tile.start, tile.end)
            return None
        if len(entries) != tile.width:
            self._unreadable(tile, f"has {len(entries)} entries, not {tile.width}")
            return None
        self.absent = 0
        return entries

    def _unreadable(self, tile: Tile, reason: str, position: int | None = None) -> None:
        """None of the entries of this bundle can be had, the first missing one at `position`."""
        first = tile.start if position is None else position
        self._wrong(tile, reason, first, tile.end - 1)
        self.unread.add(tile.start, tile.end)

    def _wrong(
        self,
        tile: Tile,
        reason: str,
        position: int | None = None,
        last: int | None = None,
        part: str = "",
    ) -> None:
        self.whole = False
        if tile.path + part not in self._reported:
            self._reported.add(tile.path + part)
            # The tile is named beside the reason.
            reason = reason.removeprefix(f"{tile.path}: ")
            failure = Failure(reason, position, tile=tile.path, last=last)
            self._findings.fail(failure, source="tiles")

    def _lacking(self, tile: Tile, reason: str) -> None:
        self.whole = False
        if tile.path not in self._reported:
            self._reported.add(tile.path)
            if tile.level is None:
                reason += f" (entries {span_words(tile.start, tile.end - 1)})"
            elif tile.level == 0:
                reason += f" (hashes of entries {span_words(tile.start, tile.end - 1)})"
            self._findings.lack(reason)
