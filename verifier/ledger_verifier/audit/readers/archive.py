"""Reads a log from a log bundle (see `ledger_verifier.formats.bundle`).

Guarantees: a member that the bundle lacks is LackingError, so that an incomplete copy is never
taken for a damaged log; one whose checksum does not match is given all the same, as damaged, so
that the tree tells which entry or hash it was. `unread` counts the tiles that no check asked for,
and `strays` names the members that are part of no log.
"""

from typing import Final

from ledger_verifier.audit.readers import DamagedEntriesError, DamagedTileError, LackingError
from ledger_verifier.formats.bundle import (
    CHECKPOINT,
    MANIFEST,
    BundleReader,
    MissingMemberError,
)
from ledger_verifier.formats.errors import DamagedMemberError, TileError
from ledger_verifier.formats.merkle import HASH_SIZE
from ledger_verifier.formats.note import MAX_NOTE
from ledger_verifier.formats.tiles import MAX_ENTRY_SIZE, Tile, decode_entries

_TILES: Final = "tile/"


class BundleLogReader:
    """A `LogReader` over a bundle."""

    live = False

    @staticmethod
    def reads(bundle: BundleReader) -> bool:
        """Whether this is a log bundle: one that holds a tile is, whatever else is in it, for no
        member that is added may keep the tiles from being checked."""
        return MANIFEST not in bundle or BundleLogReader.has_tiles(bundle)

    @staticmethod
    def has_tiles(bundle: BundleReader) -> bool:
        """Whether anything in it is at the path of a tile."""
        return any(name.startswith(_TILES) for name in bundle)

    def __init__(self, bundle: BundleReader) -> None:
        self._bundle = bundle
        self._read: set[str] = set()
        #: Members that are neither the checkpoint nor at the path of a tile.
        self.strays = tuple(name for name in bundle if name != CHECKPOINT and not _is_tile(name))

    @property
    def unread(self) -> int:
        """Number of members that have not been asked for, without the strays."""
        return sum(name not in self._read for name in self._bundle) - len(self.strays)

    def checkpoint(self) -> bytes:
        """The bundle's checkpoint; raises LackingError or BundleError."""
        return self._member(CHECKPOINT, MAX_NOTE)

    def tile(self, tile: Tile) -> bytes:
        """A hash tile; raises LackingError, DamagedTileError or BundleError."""
        try:
            return self._member(tile.path, tile.width * HASH_SIZE)
        except DamagedMemberError as error:
            raise DamagedTileError(str(error), error.content) from error

    def entries(self, tile: Tile) -> list[bytes]:
        """The entries of a bundle; raises LackingError, DamagedEntriesError, BundleError or
        TileError."""
        try:
            raw = self._member(tile.path, tile.width * (2 + MAX_ENTRY_SIZE))
        except DamagedMemberError as error:
            entries = decode_entries(error.content, tile.width)
            raise DamagedEntriesError(str(error), entries) from error
        return decode_entries(raw, tile.width)

    def _member(self, name: str, limit: int) -> bytes:
        self._read.add(name)
        try:
            return self._bundle.read(name, limit)
        except MissingMemberError as error:
            raise LackingError(str(error)) from None


def _is_tile(name: str) -> bool:
    try:
        Tile.parse(name)
    except TileError:
        return False
    return True
