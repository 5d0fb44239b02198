"""The forger of the demonstration changes one byte of one entry, and only that."""

from pathlib import Path

import pytest

from demo.copy import alter_one_byte
from ledger_verifier.formats.bundle import BundleReader, write_bundle
from ledger_verifier.formats.tiles import decode_entries, encode_entries

PATH = "tile/entries/000.p/3"


def _entry(day: int) -> bytes:
    return b'{"occurred_at":"2020-05-%02dT10:00:00.000Z"}' % day


@pytest.mark.parametrize("day", range(1, 30))
def test_one_byte_differs_and_the_day_is_still_a_day(tmp_path: Path, day: int) -> None:
    entries = [_entry(3), _entry(day), _entry(5)]
    with (tmp_path / "copy.zip").open("wb") as file:
        write_bundle(file, [("checkpoint", b"signed"), (PATH, encode_entries(entries))])
    alter_one_byte(tmp_path / "copy.zip", 1, tmp_path / "forged.zip")
    with (tmp_path / "forged.zip").open("rb") as file:
        forged = BundleReader(file)
        assert forged.names == ("checkpoint", PATH)
        assert forged.read("checkpoint") == b"signed"
        first, altered, last = decode_entries(forged.read(PATH), 3)
    assert (first, last) == (entries[0], entries[2])
    assert sum(old != new for old, new in zip(entries[1], altered, strict=True)) == 1
    changed = int(altered[24:26])
    assert changed != day
    assert 1 <= changed <= 29
