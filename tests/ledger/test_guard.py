"""The guard: what it remembers survives a torn write, and it is never silently empty."""

from pathlib import Path

import pytest

from ledger.errors import IntegrityAlarm
from ledger.log.guard import MAX_CHECKPOINT, SLOT, Guard


def test_it_remembers_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    Guard.create(path, b"one").close()
    for text in (b"two", b"three", b"four"):
        guard = Guard(path)
        guard.write(text)
        guard.close()
        assert Guard(path).checkpoint == text
    assert path.stat().st_size == 2 * SLOT


@pytest.mark.parametrize("cut", [0, 1, 20, 100, SLOT - 1])
def test_a_torn_write_leaves_the_one_before(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "guard"
    guard = Guard.create(path, b"one")
    guard.write(b"two")
    before = path.read_bytes()
    guard.write(b"three " * 30)
    after = path.read_bytes()
    slot = 0 if before[:SLOT] != after[:SLOT] else SLOT
    torn = bytearray(before)
    torn[slot : slot + cut] = after[slot : slot + cut]
    if bytes(torn[slot : slot + SLOT]) == after[slot : slot + SLOT]:
        # Only zeros were left to write: the new slot is whole.
        expected = b"three " * 30
    else:
        expected = b"two"
    path.write_bytes(torn)
    assert Guard(path).checkpoint == expected


def test_with_neither_slot_it_refuses(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    Guard.create(path, b"one").close()
    path.write_bytes(bytes(2 * SLOT))
    with pytest.raises(IntegrityAlarm):
        Guard(path)


@pytest.mark.parametrize("place", range(0, 60, 7))
def test_a_flipped_bit_is_noticed(tmp_path: Path, place: int) -> None:
    path = tmp_path / "guard"
    Guard.create(path, b"a checkpoint").close()
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)
    with pytest.raises(IntegrityAlarm):
        Guard(path)


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    guard = Guard.create(tmp_path / "guard", b"one")
    guard.write(bytes(MAX_CHECKPOINT))
    with pytest.raises(ValueError, match="fit"):
        guard.write(bytes(MAX_CHECKPOINT + 1))
