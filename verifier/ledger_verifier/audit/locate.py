"""Says where a log that does not hold together was changed.

Guarantees: a cell or an entry is named as changed only on the strength of the signed root. When
the entries give the signed root, it is the differing cells that were changed. Otherwise the served
tiles are authenticated from the signed root downwards (a tile is authentic when it hashes to an
authentic cell), and an entry is changed when its leaf hash differs from an authentic cell. Where
the tiles were changed along with the entries, the place is given as the range under the lowest
authentic cell that differs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger_verifier.audit.cells import CellTree, Difference, TileSource, fold
from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.formats.merkle import HASH_SIZE, root_of
from ledger_verifier.formats.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, width_at

_CACHE = 64

StreamAt = Callable[[int], str | None]


class AuthenticTiles:
    """The served tiles of a tree, as far as the signed root vouches for them."""

    def __init__(self, source: TileSource, size: int, root: bytes) -> None:
        self._source = source
        self._size = size
        self._known: dict[tuple[int, int], list[bytes] | None] = {}
        edge: list[list[bytes]] = []
        level = 0
        while size >> (TILE_HEIGHT * level):
            width = width_at(level, size)
            count = size >> (TILE_HEIGHT * level)
            cells = self._served(Tile(level, count // TILE_WIDTH, width)) if width else []
            if cells is None:
                break
            edge.append(cells)
            level += 1
        self.edge = edge
        #: Whether the tiles at the right edge lead to the signed root at all.
        self.usable = level > 0 and not size >> (TILE_HEIGHT * level) and fold(edge) == root

    def cells(self, level: int, tile: int) -> list[bytes] | None:
        """The cells of a tile, or None when they cannot be authenticated."""
        if not self.usable:
            return None
        count = self._size >> (TILE_HEIGHT * level)
        if tile == count // TILE_WIDTH:
            return self.edge[level]
        key = (level, tile)
        if key not in self._known:
            if len(self._known) >= _CACHE:
                self._known.clear()
            above = self.cells(level + 1, tile // TILE_WIDTH)
            cells = self._served(Tile(level, tile)) if above is not None else None
            if above is None or cells is None or root_of(cells) != above[tile % TILE_WIDTH]:
                cells = None
            self._known[key] = cells
        return self._known[key]

    def _served(self, tile: Tile) -> list[bytes] | None:
        data = self._source(tile)
        if data is None:
            return None
        return [data[i : i + HASH_SIZE] for i in range(0, len(data), HASH_SIZE)]


@dataclass(frozen=True, slots=True)
class Located:
    """What `locate` found out: whether the entries as a whole are those of the signed root,
    whether each changed entry was named, and whether at least a range was."""

    entries_good: bool = False
    named: bool = False
    ranged: bool = False


def locate(
    tree: CellTree,
    source: TileSource,
    size: int,
    root: bytes,
    findings: Findings,
    stream_at: StreamAt = lambda _: None,
) -> Located:
    """Turn the differences met while deriving the tree into failures with a place. `stream_at`
    tells the stream that the entry at a position says it is in."""
    if tree.root() == root:
        for level in tree.differences:
            for difference in level:
                findings.fail(
                    Failure(
                        f"cell {difference.cell} is not the hash of what is under it; the entries "
                        "themselves are those of the signed root: the tile was changed",
                        tile=difference.tile.path,
                    ),
                    source="tiles",
                )
        kept = sum(map(len, tree.differences))
        _count_rest(findings, tree.difference_count - kept, "cells of tiles differ")
        return Located(entries_good=True)
    tiles = AuthenticTiles(source, size, root)
    if not tiles.usable:
        return Located()
    named = _changed_entries(tree, tiles, findings, stream_at)
    ranged = _changed_ranges(tree, tiles, named, findings)
    return Located(named=bool(named) and not ranged, ranged=bool(ranged))


def _changed_entries(
    tree: CellTree, tiles: AuthenticTiles, findings: Findings, stream_at: StreamAt
) -> list[int]:
    """Entries whose leaf hash is not the authentic one; of the first, also how it came about."""
    named: list[int] = []
    level = tree.differences[0] if tree.differences else []
    derived = {difference.index: difference.derived for difference in level}
    for difference in level:
        cells = tiles.cells(0, difference.tile.index)
        if cells is None or cells[difference.cell] == difference.derived:
            continue
        hint = "" if named else _hint(difference, cells, derived)
        reason = f"not the entry that the signed root has at this position{hint}"
        failure = Failure(reason, difference.index, stream_at(difference.index))
        findings.fail(failure, source="located")
        named.append(difference.index)
    if named and tree.difference_count > sum(map(len, tree.differences)):
        rest = tree.difference_count - sum(map(len, tree.differences))
        _count_rest(findings, rest, "further entries or cells differ")
    return named


def _hint(difference: Difference, cells: Sequence[bytes], derived: dict[int, bytes]) -> str:
    """How an entry came to stand where another belongs, judged by its neighbours."""
    here, cell = difference.index, difference.cell
    following = derived.get(here + 1)
    if cell + 1 < len(cells) and difference.derived == cells[cell + 1]:
        if following == cells[cell]:
            return ": it and the next one are swapped"
        return ": the one that belongs here is missing, and those after it have moved up"
    if following is not None and following == cells[cell]:
        return ": it was inserted, and those after it have moved down"
    if difference.derived in cells:
        return f": it belongs at position {here - cell + list(cells).index(difference.derived)}"
    return ""


def _changed_ranges(
    tree: CellTree, tiles: AuthenticTiles, named: Sequence[int], findings: Findings
) -> list[tuple[int, int]]:
    """Ranges under which tiles and entries were changed together, or tiles alone."""
    found: list[tuple[int, int]] = []
    for level, differences in enumerate(tree.differences):
        for difference in differences:
            first, end = difference.first_entry, difference.end_entry
            cells = tiles.cells(level, difference.tile.index)
            if cells is None:
                continue
            if cells[difference.cell] == difference.derived:
                continue
            if level == 0 or any(first <= place < end for place in named):
                continue
            if any(first <= low and high <= end for low, high in found):
                continue
            found.append((first, end))
            findings.fail(
                Failure(
                    f"among the entries {first} to {end - 1} at least one was changed, and the "
                    "hash tiles under this cell with it: the cell, which the signed root vouches "
                    f"for, is cell {difference.cell}",
                    tile=difference.tile.path,
                ),
                source="located",
            )
    _forged_tiles(tree, tiles, findings)
    return found


def _forged_tiles(tree: CellTree, tiles: AuthenticTiles, findings: Findings) -> None:
    """Tiles that the signed root does not vouch for although the level above is authentic."""
    seen: set[str] = set()
    for level, differences in enumerate(tree.differences):
        for difference in differences:
            path = difference.tile.path
            if path in seen or tiles.cells(level, difference.tile.index) is not None:
                continue
            seen.add(path)
            findings.fail(
                Failure("the tile does not hash to what the signed root has above it", tile=path),
                source="tiles",
            )


def _count_rest(findings: Findings, number: int, what: str) -> None:
    if number > 0:
        findings.fail(Failure(f"{number} {what}"), source="located", times=number)
