"""Receipts: C2SP tlog-proofs for entries already in the log, made from stored cells.

Guarantees: a receipt is against the newest published checkpoint when that covers the entry (it
then carries every signature the log and its witnesses gave), else against the committed head.
"""

from ledger.errors import NotFound
from ledger.log.tree import node_from_cells
from ledger.store.base import Store
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.merkle import prove_inclusion
from ledger_verifier.formats.note import Note
from ledger_verifier.formats.proof import LogProof


class ReceiptMaker:
    """Makes receipts from one store. Methods block; they may be called from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def newest(self, position: int) -> str:
        """The text of a receipt; raises NotFound beyond the committed head."""
        published = self._store.newest_publication()
        if published is not None and position < published[0]:
            return self.against(position, published[1])
        head = self._store.head()
        if head is None or not 0 <= position < head.size:
            raise NotFound
        return self.against(position, head.checkpoint)

    def against(self, position: int, checkpoint: bytes) -> str:
        """The text of a receipt against a signed checkpoint that covers the position."""
        return LogProof(
            position, tuple(self.proof(position, _size(checkpoint))), checkpoint
        ).encode()

    def proof(self, position: int, size: int) -> list[bytes]:
        """Inclusion proof of a position in the tree of a size."""
        return prove_inclusion(
            position, size, lambda h, i: node_from_cells(self._store.cells, h, i)
        )


def _size(checkpoint: bytes) -> int:
    return Checkpoint.parse(Note.parse(checkpoint).text).size
