"""Derives every cell of every tile from the leaf hashes, and compares it with the one served.

Guarantees: after `finish`, each cell of each hash tile that the tree's size implies has been held
against the hash derived from the entries, at every level (RFC 6962, c2sp.org/tlog-tiles). Memory
is 256 hashes a level, plus a bounded number of differences.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger_verifier.formats.merkle import EMPTY_ROOT, HASH_SIZE, root_of
from ledger_verifier.formats.tiles import TILE_HEIGHT, TILE_WIDTH, Tile

#: Most differing cells kept at each level; the rest are counted.
MAX_DIFFERENCES: Final = 64

#: Yields the bytes of a hash tile, or None when they cannot be had (which has been reported).
TileSource = Callable[[Tile], bytes | None]


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell that is served with another hash than the entries under it give."""

    tile: Tile
    cell: int
    derived: bytes

    @property
    def level(self) -> int:
        return self.tile.level or 0

    @property
    def index(self) -> int:
        """Index of the cell within its level."""
        return self.tile.start + self.cell

    @property
    def first_entry(self) -> int:
        return self.index << (8 * self.level)

    @property
    def end_entry(self) -> int:
        return (self.index + 1) << (8 * self.level)


class CellTree:
    """The tree as it grows by whole tiles of leaf hashes. It may go on after `start` leaves, a
    multiple of the width of a tile; `rows` are then the cells of the tiles at the right edge, for
    each level above the leaves."""

    def __init__(self, source: TileSource, start: int = 0, rows: Sequence[bytes] = ()) -> None:
        self._source = source
        self._pending: list[list[bytes]] = [[], *map(split, rows)]
        self._tiles = [start >> (TILE_HEIGHT * (level + 1)) for level in range(len(self._pending))]
        self.differences: list[list[Difference]] = []
        self.difference_count = 0
        self.cells = 0
        self.hash_tiles = 0

    @property
    def rows(self) -> tuple[bytes, ...]:
        """The cells of the tiles at the right edge that are not full, but for those of leaves."""
        return tuple(b"".join(row) for row in self._pending[1:])

    def add(self, leaves: bytes, served: bytes | None, root: bytes | None = None) -> None:
        """Take the leaf hashes of the next tile of level 0, joined, of which only the last may be
        partial; the tile as served; and the root over the tile, where it is known already."""
        self._compare(Tile(0, self._tiles[0], len(leaves) // HASH_SIZE), leaves, served)
        if len(leaves) < TILE_WIDTH * HASH_SIZE:
            self._pending[0] = split(leaves)
        else:
            self._raise(0, root_of(split(leaves)) if root is None else root)

    def root(self, leaves: Sequence[bytes] = ()) -> bytes:
        """Root of the tree so far, with these leaf hashes after a whole number of tiles."""
        return fold([list(leaves) or self._pending[0], *self._pending[1:]])

    def finish(self) -> None:
        """Compare the partial tiles at the right edge of the levels above the leaves."""
        for level in range(1, len(self._pending)):
            cells = self._pending[level]
            if cells:
                tile = Tile(level, self._tiles[level], len(cells))
                self._compare(tile, b"".join(cells), self._source(tile))

    def _raise(self, level: int, root: bytes) -> None:
        """A tile of this level is full, and this is the root over it."""
        self._tiles[level] += 1
        above = level + 1
        if above == len(self._pending):
            self._pending.append([])
            self._tiles.append(0)
        row = self._pending[above]
        row.append(root)
        if len(row) == TILE_WIDTH:
            tile = Tile(above, self._tiles[above])
            self._compare(tile, b"".join(row), self._source(tile))
            self._pending[above] = []
            self._raise(above, root_of(row))

    def _compare(self, tile: Tile, cells: bytes, served: bytes | None) -> None:
        if served is None:
            return
        self.hash_tiles += 1
        self.cells += tile.width
        if served == cells:
            return
        level = tile.level or 0
        while len(self.differences) <= level:
            self.differences.append([])
        for cell, derived in enumerate(split(cells)):
            if served[cell * HASH_SIZE : (cell + 1) * HASH_SIZE] != derived:
                self.difference_count += 1
                if len(self.differences[level]) < MAX_DIFFERENCES:
                    self.differences[level].append(Difference(tile, cell, derived))


def split(joined: bytes) -> list[bytes]:
    """Hashes that were joined."""
    return [joined[at : at + HASH_SIZE] for at in range(0, len(joined), HASH_SIZE)]


def fold(rows: Sequence[Sequence[bytes]]) -> bytes:
    """Root over the right edge of a tiled tree: for each level, lowest first, the cells that are
    not yet in a full tile."""
    root: bytes | None = None
    for row in rows:
        nodes = [*row, root] if root is not None else list(row)
        if nodes:
            root = root_of(nodes)
    return EMPTY_ROOT if root is None else root
