"""The guard: this machine's own memory of the largest checkpoint it let anyone see.

Guarantees: after `write` returns, the checkpoint survives power loss, apart from the event store;
a torn write leaves the one before. What a start finds committed beyond it is written here before
anything is answered. Two preallocated slots are written in turn, each with a
sequence number and a SHA-256 of its content, and each write ends in fdatasync. At start the event
store must hold at least what the guard remembers: a store restored from an older copy is noticed.
"""

import hashlib
import os
import struct
from pathlib import Path
from typing import Final

from ledger.config import sync_directory
from ledger.errors import IntegrityAlarm
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.note import Note

SLOT: Final = 4096
_HEADER = struct.Struct(">8sQI")
_MAGIC: Final = b"HLGUARD1"
MAX_CHECKPOINT: Final = SLOT - _HEADER.size - 32


class Guard:
    """The open guard file. Not thread-safe: the writer process owns it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR)
        try:
            self._sequence, self.checkpoint = _read(self._descriptor)
        except IntegrityAlarm:
            os.close(self._descriptor)
            raise

    @classmethod
    def create(cls, path: Path, checkpoint: bytes) -> "Guard":
        """Make the guard file of a new log; raises FileExistsError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.pwrite(descriptor, _encode(1, checkpoint).ljust(2 * SLOT, b"\0"), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(path.parent)
        return cls(path)

    def write(self, checkpoint: bytes) -> None:
        """Remember a signed checkpoint durably; raises OSError when that cannot be done."""
        sequence = self._sequence + 1
        slot = _encode(sequence, checkpoint)
        written = os.pwrite(self._descriptor, slot, (sequence + 1) % 2 * SLOT)
        if written != len(slot):
            raise OSError("short write to the guard")
        os.fdatasync(self._descriptor)
        self._sequence, self.checkpoint = sequence, checkpoint

    def advance(self, size: int, checkpoint: bytes) -> None:
        """Remember a signed checkpoint of that size, unless as much is remembered already; raises
        IntegrityAlarm when what is remembered is no checkpoint, and OSError as `write` does."""
        try:
            known = Checkpoint.parse(Note.parse(self.checkpoint).text)
        except FormatError as error:
            raise IntegrityAlarm(f"The guard's checkpoint cannot be read: {error}") from error
        if known.size < size:
            self.write(checkpoint)

    def close(self) -> None:
        os.close(self._descriptor)


def remembered(path: Path) -> bytes:
    """What another machine's guard file remembers, without holding or changing it; raises
    IntegrityAlarm when neither slot can be read."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _read(descriptor)[1]
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> tuple[int, bytes]:
    """The newer of the two slots; raises IntegrityAlarm when neither can be read."""
    found = [slot for index in (0, 1) if (slot := _read_slot(descriptor, index)) is not None]
    if not found:
        raise IntegrityAlarm(
            "Neither slot of the guard file can be read. Restore keys/guard, or run "
            "hub-ledger fsck and keep its report."
        )
    return max(found)


def _encode(sequence: int, checkpoint: bytes) -> bytes:
    if len(checkpoint) > MAX_CHECKPOINT:
        raise ValueError("checkpoint does not fit the guard")
    body = _HEADER.pack(_MAGIC, sequence, len(checkpoint)) + checkpoint
    return (body + hashlib.sha256(body).digest()).ljust(SLOT, b"\0")


def _read_slot(descriptor: int, index: int) -> tuple[int, bytes] | None:
    slot = os.pread(descriptor, SLOT, index * SLOT)
    if len(slot) < SLOT:
        return None
    magic, sequence, length = _HEADER.unpack_from(slot)
    end = _HEADER.size + length
    if magic != _MAGIC or length > MAX_CHECKPOINT:
        return None
    if hashlib.sha256(slot[:end]).digest() != slot[end : end + 32]:
        return None
    return sequence, slot[_HEADER.size : end]
