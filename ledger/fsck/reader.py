"""A snapshot of the event store as the verifier's engine reads a log.

Guarantees: what it gives is what is stored, byte for byte; it checks nothing itself.
"""

from dataclasses import dataclass

from ledger.store.records import EVENTS_TABLE, Head
from ledger.store.rows import Rows, select_cells, select_head
from ledger_verifier.audit.readers import AbsentError
from ledger_verifier.formats.tiles import Tile


@dataclass(frozen=True, slots=True)
class Columns:
    """What is stored beside an entry's bytes."""

    stream: str
    version: int
    type: str


class SnapshotReader:
    """A `LogReader` over one snapshot. `columns` holds those of the entry bundle read last."""

    live = False

    def __init__(self, rows: Rows, position_sql: str) -> None:
        self._rows, self._position = rows, position_sql
        self.head: Head | None = select_head(rows)
        self.columns: dict[int, Columns] = {}

    def checkpoint(self) -> bytes:
        """The newest publication when it covers everything that is committed, and so carries every
        signature there is; else the head's own checkpoint."""
        if self.head is None:
            raise AbsentError("the event store has no head")
        self._rows.execute("SELECT size, checkpoint FROM publications ORDER BY seq DESC LIMIT 1")
        newest = self._rows.fetchone()
        if newest is not None and newest[0] == self.head.size:
            return bytes(newest[1])
        return self.head.checkpoint

    def tile(self, tile: Tile) -> bytes:
        assert tile.level is not None
        start = tile.index * 256
        hashes = select_cells(self._rows, tile.level, start, start + tile.width)
        if len(hashes) < tile.width:
            raise AbsentError(f"{tile.path}: {tile.width - len(hashes)} cells are missing")
        return b"".join(hashes)

    def entries(self, tile: Tile) -> list[bytes]:
        start = tile.index * 256
        self._rows.execute(
            f"SELECT {self._position}, originator_id, originator_version, topic, state"
            f" FROM {EVENTS_TABLE} WHERE {self._position} >= ? AND {self._position} < ?"
            f" ORDER BY {self._position}",
            (start, start + tile.width),
        )
        found = self._rows.fetchall()
        self.columns = {row[0]: Columns(row[1], row[2], row[3]) for row in found}
        if len(found) < tile.width:
            missing = next(p for p in range(start, start + tile.width) if p not in self.columns)
            raise AbsentError(f"the entry at position {missing} is missing", missing)
        return [bytes(row[4]) for row in found]
