"""Tiles and entry bundles (c2sp.org/tlog-tiles v0.1.0): their paths and their bytes.

A hash tile at level l holds up to 256 consecutive hashes of complete subtrees of 256**l leaves;
an entry bundle holds the up to 256 entries under one tile of level 0. A tree of a given size
implies exactly the tiles that `tiles_of` and `bundles_of` list: every full one, and at the right
edge of each level a partial one unless its width would be zero.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ledger_verifier.formats.errors import TileError
from ledger_verifier.formats.merkle import HASH_SIZE, NodeReader, root_of
from ledger_verifier.formats.text import MAX_NUMBER

TILE_WIDTH = 256
TILE_HEIGHT = 8
MAX_LEVEL = 63
MAX_ENTRY_SIZE = 65_535

_MAX_PATH = 64
_PATH = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """The name of a tile: level (None for an entry bundle), index in its level, and width.

    Constructing one raises TileError if a number is out of range.
    """

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= MAX_LEVEL:
            raise TileError("a tile's level is not between 0 and 63")
        if not 0 <= self.index <= MAX_NUMBER // TILE_WIDTH:
            raise TileError("a tile's index is out of range")
        if not 1 <= self.width <= TILE_WIDTH:
            raise TileError("a tile's width is not between 1 and 256")

    @property
    def start(self) -> int:
        """The index, within the level, of the tile's first hash or entry."""
        return self.index * TILE_WIDTH

    @property
    def end(self) -> int:
        """The index, within the level, just after the tile's last hash or entry."""
        return self.start + self.width

    @property
    def path(self) -> str:
        """The path under the log's prefix, without a leading slash: `tile/0/x001/067.p/5`."""
        level = "entries" if self.level is None else str(self.level)
        rest, last = divmod(self.index, 1000)
        number = f"{last:03d}"
        while rest:
            rest, group = divmod(rest, 1000)
            number = f"x{group:03d}/{number}"
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{number}{partial}"

    @classmethod
    def parse(cls, path: str) -> "Tile":
        """Parse a path; raises TileError for every spelling but the one that `path` gives."""
        match = _PATH.fullmatch(path) if len(path) <= _MAX_PATH else None
        if match is None:
            raise TileError("this is not the path of a tile")
        level, number, width = match.groups()
        tile = cls(
            None if level == "entries" else int(level),
            int(number.replace("x", "").replace("/", "")),
            TILE_WIDTH if width is None else int(width),
        )
        if tile.path != path:
            raise TileError("this is not the canonical path of a tile")
        return tile


def width_at(level: int, size: int) -> int:
    """Return the width of the partial tile at `level` of a tree of `size`; 0 if it has none."""
    return (size >> (TILE_HEIGHT * level)) % TILE_WIDTH


def _tiles_at(level: int | None, count: int) -> Iterator[Tile]:
    full, partial = divmod(count, TILE_WIDTH)
    for index in range(full):
        yield Tile(level, index)
    if partial:
        yield Tile(level, full, partial)


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield every hash tile of a tree of `size`: level by level, each in order, partial last."""
    level = 0
    while count := size >> (TILE_HEIGHT * level):
        yield from _tiles_at(level, count)
        level += 1


def bundles_of(size: int) -> Iterator[Tile]:
    """Yield every entry bundle of a tree of `size`, in order, the partial one last."""
    return _tiles_at(None, size)


def _check_count(count: int) -> None:
    if not 1 <= count <= TILE_WIDTH:
        raise TileError("a tile or bundle does not hold between 1 and 256 items")


def encode_hashes(hashes: Sequence[bytes]) -> bytes:
    """Return the bytes of a hash tile; raises TileError."""
    _check_count(len(hashes))
    if set(map(len, hashes)) != {HASH_SIZE}:
        raise TileError("a hash in a tile is not 32 bytes long")
    return b"".join(hashes)


def decode_hashes(data: bytes, count: int) -> list[bytes]:
    """Return the `count` hashes of a hash tile; raises TileError unless it is exactly those."""
    _check_count(count)
    if len(data) != count * HASH_SIZE:
        raise TileError(f"a hash tile of width {count} is not {count * HASH_SIZE} bytes long")
    return [data[start : start + HASH_SIZE] for start in range(0, len(data), HASH_SIZE)]


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """Return the bytes of an entry bundle; raises TileError. An entry may be empty."""
    _check_count(len(entries))
    if max(map(len, entries)) > MAX_ENTRY_SIZE:
        raise TileError("an entry is longer than 65,535 bytes")
    return b"".join(part for entry in entries for part in (len(entry).to_bytes(2), entry))


def decode_entries(data: bytes, count: int) -> list[bytes]:
    """Return the `count` entries of a bundle; raises TileError unless it is exactly those.

    An empty entry stands for one whose bytes have expired.
    """
    _check_count(count)
    entries: list[bytes] = []
    start = 0
    for _ in range(count):
        # Past the end the length reads as zero, and the comparison after the loop refuses it.
        entry = start + 2
        start = entry + int.from_bytes(data[start:entry])
        entries.append(data[entry:start])
    if start != len(data):
        raise TileError(f"an entry bundle does not hold exactly {count} entries")
    return entries


def node_reader(read: Callable[[Tile], Iterable[bytes]], size: int) -> NodeReader:
    """Return a reader of the complete subtrees of a tree of `size`, backed by its hash tiles.

    `read` is given a tile that the size implies and returns its hashes in order; the last 64 tiles
    are kept. The reader raises TileError for a subtree that the tree does not contain, or a tile
    of the wrong width, and lets through what `read` raises.
    """

    @lru_cache(maxsize=64)
    def hashes(level: int, index: int) -> tuple[bytes, ...]:
        width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH)
        got = tuple(read(Tile(level, index, width)))
        if len(got) != width:
            raise TileError("a hash tile does not have the width that the tree's size implies")
        return got

    def node(height: int, index: int) -> bytes:
        if height < 0 or index < 0 or (index + 1) << height > size:
            raise TileError("the tree does not contain this subtree")
        level, above = divmod(height, TILE_HEIGHT)
        first = index << above
        tile, offset = divmod(first, TILE_WIDTH)
        return root_of(hashes(level, tile)[offset : offset + (1 << above)])

    return node
