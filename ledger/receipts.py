"""Receipts: C2SP tlog-proofs for entries already in the log, made from stored cells.

Guarantees: a receipt is against the newest published checkpoint when that covers the entry (it
then carries every signature the log and its witnesses gave), else against the committed head.
Receipts that are made together read each tile of the tree once.
"""

from collections.abc import Collection
from dataclasses import dataclass

from ledger.errors import NotFound
from ledger.log.tree import TILE_HEIGHT, CellReader, node_from_cells
from ledger.store.base import Store
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.merkle import NodeReader, prove_inclusion
from ledger_verifier.formats.note import Note
from ledger_verifier.formats.proof import LogProof


@dataclass(frozen=True, slots=True)
class Receipt:
    """The text of a tlog-proof, and the size of the tree that its checkpoint is of."""

    text: str
    size: int


class ReceiptMaker:
    """Makes receipts from one store. Methods block; they may be called from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def newest(self, position: int) -> Receipt:
        """A receipt; raises NotFound beyond the committed head."""
        return self.newest_of([position])[position]

    def newest_of(self, positions: Collection[int]) -> dict[int, Receipt]:
        """A receipt for each position; raises NotFound beyond the committed head."""
        node = nodes(self._store.cells)
        published = self._store.newest_publication()
        covered = 0 if published is None else published[0]
        receipts: dict[int, Receipt] = {}
        if published is not None:
            below = [position for position in positions if 0 <= position < covered]
            receipts = _against(below, published[1], node)
        beyond = [position for position in positions if position not in receipts]
        if beyond:
            head = self._store.head()
            if head is None or min(beyond) < 0 or max(beyond) >= head.size:
                raise NotFound
            receipts |= _against(beyond, head.checkpoint, node)
        return receipts


def nodes(cells: CellReader) -> NodeReader:
    """Reads hashes of complete subtrees from stored cells, a tile at a time, and keeps them."""
    tiles: dict[tuple[int, int], list[bytes]] = {}
    known: dict[tuple[int, int], bytes] = {}

    def cells_of_tiles(level: int, start: int, stop: int) -> list[bytes]:
        # A subtree of less than a tile's height lies in one tile.
        index = start >> TILE_HEIGHT
        first = index << TILE_HEIGHT
        if (level, index) not in tiles:
            tiles[(level, index)] = list(cells(level, first, first + (1 << TILE_HEIGHT)))
        return tiles[(level, index)][start - first : stop - first]

    def node(height: int, index: int) -> bytes:
        if (height, index) not in known:
            known[(height, index)] = node_from_cells(cells_of_tiles, height, index)
        return known[(height, index)]

    return node


def _against(positions: Collection[int], checkpoint: bytes, node: NodeReader) -> dict[int, Receipt]:
    """Receipts against a signed checkpoint that covers the positions."""
    size = Checkpoint.parse(Note.parse(checkpoint).text).size
    return {
        position: Receipt(
            LogProof(position, tuple(prove_inclusion(position, size, node)), checkpoint).encode(),
            size,
        )
        for position in positions
    }
