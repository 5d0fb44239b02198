"""A forger at work on a copy of a log.

The forger changes one byte of one entry in a log bundle and leaves all else as it was, the
file's own check sums corrected, as somebody would who hoped to get away with it.
"""

from pathlib import Path
from typing import Final

from ledger_verifier.formats.bundle import BundleReader, write_bundle
from ledger_verifier.formats.tiles import TILE_WIDTH, Tile, decode_entries, encode_entries

_OCCURRED: Final = b'"occurred_at":"'
_LAST_DIGIT_OF_DAY: Final = len("2020-05-1")


def alter_one_byte(bundle: Path, position: int, forged: Path) -> None:
    """Write a copy of a log bundle in which the day on which one entry says that it happened is
    another, by one digit."""
    with bundle.open("rb") as file:
        reader = BundleReader(file)
        files = {name: reader.read(name) for name in reader}
    index, within = divmod(position, TILE_WIDTH)
    path, width = next(
        (tile.path, tile.width)
        for tile in map(Tile.parse, files.keys() - {"checkpoint"})
        if tile.level is None and tile.index == index
    )
    entries = decode_entries(files[path], width)
    entries[within] = _move_day(entries[within])
    files[path] = encode_entries(entries)
    with forged.open("wb") as file:
        write_bundle(file, files.items())


def _move_day(entry: bytes) -> bytes:
    """Change the last digit of the day to another of 1 to 8, so that the date stays a date.

    That holds for days up to the 29th; the demonstration picks an entry of such a day.
    """
    at = entry.index(_OCCURRED) + len(_OCCURRED) + _LAST_DIGIT_OF_DAY
    digit = entry[at] - ord("0")
    return entry[:at] + str(digit % 8 + 1).encode() + entry[at + 1 :]
