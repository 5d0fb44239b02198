"""The growing Merkle tree (RFC 6962): its right edge in memory, its cells in the store.

Guarantees: `extend` yields exactly the cells that the new leaves complete at the tile levels, so
that every tile of every committed size is a prefix of stored cells; `prove` gives inclusion proofs
for the size now, from memory for recent leaves and from stored cells otherwise. Subtrees that are
complete never change, hence may be cached without ever being wrong.
"""

from collections.abc import Callable, Sequence
from typing import Final

from ledger_verifier.formats.merkle import (
    CompactRange,
    node_hash,
    prove_inclusion,
    root_of,
)

TILE_HEIGHT: Final = 8
#: Complete subtrees kept in memory, some 120 bytes each.
MAX_NODES: Final = 200_000

CellReader = Callable[[int, int, int], Sequence[bytes]]
Cell = tuple[int, int, bytes]


class Tree:
    """A tree of a given size and right edge. `cells` reads stored cells (level, start, stop)."""

    def __init__(self, size: int, edge: Sequence[bytes], cells: CellReader) -> None:
        self._range = CompactRange(size, edge)
        self._cells = cells
        self._nodes: dict[tuple[int, int], bytes] = {}

    @property
    def size(self) -> int:
        return self._range.size

    @property
    def edge(self) -> tuple[bytes, ...]:
        """Hashes of the complete subtrees at the right edge, largest first."""
        return self._range.hashes

    def root(self) -> bytes:
        return self._range.root()

    def extend(self, leaves: Sequence[bytes]) -> list[Cell]:
        """Append leaf hashes; returns the new cells of all tile levels."""
        if len(self._nodes) > MAX_NODES:
            self._nodes.clear()
        # The stack holds the complete subtrees of the edge, as (height, index, hash).
        stack = self._stack()
        size = self._range.size
        cells: list[Cell] = []
        nodes = self._nodes
        for offset, leaf in enumerate(leaves):
            height, index, digest = 0, size + offset, leaf
            nodes[(0, index)] = leaf
            cells.append((0, index, leaf))
            while index & 1:
                _, _, left = stack.pop()
                digest = node_hash(left, digest)
                height, index = height + 1, index >> 1
                nodes[(height, index)] = digest
                if height % TILE_HEIGHT == 0:
                    cells.append((height // TILE_HEIGHT, index, digest))
            stack.append((height, index, digest))
        self._range = CompactRange(size + len(leaves), [digest for _, _, digest in stack])
        return cells

    def prove(self, position: int) -> list[bytes]:
        """Inclusion proof of a leaf in the tree as it is now."""
        return prove_inclusion(position, self._range.size, self._node)

    def _stack(self) -> list[tuple[int, int, bytes]]:
        size, stack, start = self._range.size, [], 0
        for digest in self._range.hashes:
            height = (size - start).bit_length() - 1
            stack.append((height, start >> height, digest))
            start += 1 << height
        return stack

    def _node(self, height: int, index: int) -> bytes:
        known = self._nodes.get((height, index))
        if known is not None:
            return known
        digest = node_from_cells(self._cells, height, index)
        self._nodes[(height, index)] = digest
        return digest


def node_from_cells(cells: CellReader, height: int, index: int) -> bytes:
    """Hash of the index-th complete subtree of 2**height leaves, from cells of the level below."""
    level, above = divmod(height, TILE_HEIGHT)
    return root_of(cells(level, index << above, (index + 1) << above))
