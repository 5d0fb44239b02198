"""A snapshot of the event store as the verifier's engine reads a log.

Guarantees: what it gives is what is stored, byte for byte; it checks nothing itself. An entry whose
row is missing has no bytes, so that those around it are checked all the same.
"""

from dataclasses import dataclass

from ledger.store.records import EVENTS_TABLE, Head
from ledger.store.rows import Rows, key_column, select_cells
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

    def __init__(self, rows: Rows, position_sql: str, head: Head | None, checkpoint: bytes) -> None:
        self._rows, self._position = rows, position_sql
        self.head, self._checkpoint = head, checkpoint
        self.columns: dict[int, Columns] = {}

    def checkpoint(self) -> bytes:
        if self.head is None:
            raise AbsentError("the event store has no head")
        return self._checkpoint

    def tile(self, tile: Tile) -> bytes:
        assert tile.level is not None
        start = tile.index * 256
        hashes = select_cells(self._rows, tile.level, start, start + tile.width)
        if len(hashes) < tile.width:
            raise AbsentError(f"{tile.path}: {tile.width - len(hashes)} cells are missing")
        return b"".join(hashes)

    def entries(self, tile: Tile) -> list[bytes]:
        start, key = tile.index * 256, key_column(self._position)
        self._rows.execute(
            f"SELECT {self._position}, originator_id, originator_version, topic, state"
            f" FROM {EVENTS_TABLE} WHERE {key} >= ? AND {key} < ? ORDER BY {key}",
            (start + 1, start + tile.width + 1),
        )
        found = self._rows.fetchall()
        self.columns = {row[0]: Columns(row[1], row[2], row[3]) for row in found}
        states = {row[0]: bytes(row[4]) for row in found}
        return [states.get(position, b"") for position in range(start, start + tile.width)]
