"""What a log gives, with whatever is wrong with getting it already reported.

Guarantees: a tile or bundle that is not there, or not of its size, is reported once, as a failure
or as lacking (see `readers`); what is returned has the size asked for. UnreachableError, which ends
a run, is let through.
"""

from ledger_verifier.audit.readers import AbsentError, LackingError, LogReader
from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.merkle import HASH_SIZE
from ledger_verifier.formats.tiles import Tile


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

    def tile(self, tile: Tile) -> bytes | None:
        """The cells of a hash tile, or None when they cannot be had."""
        try:
            data = self._reader.tile(tile)
        except (AbsentError, FormatError) as error:
            self._wrong(tile, str(error))
        except LackingError as error:
            self._lacking(tile, str(error))
        else:
            if len(data) == tile.width * HASH_SIZE:
                return data
            self._wrong(tile, f"has {len(data)} bytes, not {tile.width * HASH_SIZE}")
        return None

    def bundle(self, tile: Tile) -> list[bytes] | None:
        """The entries of a bundle, or None when they cannot be had."""
        self.absent += 1
        try:
            entries = self._reader.entries(tile)
        except AbsentError as error:
            first = tile.start if error.position is None else error.position
            self._wrong(tile, str(error), first)
        except FormatError as error:
            self._wrong(tile, str(error), tile.start)
        except LackingError as error:
            self._lacking(tile, str(error))
        else:
            if len(entries) == tile.width:
                self.absent = 0
                return entries
            self._wrong(tile, f"has {len(entries)} entries, not {tile.width}", tile.start)
        return None

    def _wrong(self, tile: Tile, reason: str, position: int | None = None) -> None:
        self.whole = False
        if tile.path not in self._reported:
            self._reported.add(tile.path)
            self._findings.fail(Failure(reason, position, tile=tile.path), source="tiles")

    def _lacking(self, tile: Tile, reason: str) -> None:
        self.whole = False
        if tile.path not in self._reported:
            self._reported.add(tile.path)
            self._findings.lack(reason)
