"""The growing Merkle tree (RFC 6962): its right edge in memory, its cells in the store.

Guarantees: `extend` yields exactly the cells that the new leaves complete at the tile levels, so
that every tile of every committed size is a prefix of stored cells; `prove` gives inclusion proofs
for the size now, from memory for recent leaves and from stored cells otherwise. Subtrees that are
complete never change, hence may be cached without ever being wrong.
"""

from collections.abc import Callable, Sequence
from typing import Final

from ledger_verifier.formats.merkle import CompactRange, node_hash, root_of

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
        self._edge: list[bytes] = []
        self._edge_size = -1

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
        """Inclusion proof of a leaf in the tree as it is now (RFC 6962, section 2.1.1)."""
        size = self._range.size
        if not 0 <= position < size:
            raise IndexError("no such leaf in the tree")
        nodes, edge = self._nodes, self._right_edge()
        path: list[bytes] = []
        index, last, height = position, size - 1, 0
        while last:
            if index & 1:
                path.append(nodes.get((height, index - 1)) or self._node(height, index - 1))
            elif index + 1 < last:
                path.append(nodes.get((height, index + 1)) or self._node(height, index + 1))
            elif index < last:
                path.append(edge[height])
            index, last, height = index >> 1, last >> 1, height + 1
        return path

    def _right_edge(self) -> list[bytes]:
        """At each height the hash of the last subtree, which may be incomplete; made once for
        each size."""
        size = self._range.size
        if self._edge_size != size:
            last, digest, edge = size - 1, self._node(0, size - 1), []
            while last:
                edge.append(digest)
                if last & 1:
                    digest = node_hash(self._node(len(edge) - 1, last - 1), digest)
                last >>= 1
            self._edge, self._edge_size = edge, size
        return self._edge

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
