"""Sealed fields that are lost: noted by a restore, declared by an entry of the log.

Guarantees: what is noted stays so until an entry declares it, in the transaction that appends that
entry; what an entry declares is explained from then on. A note is no more than what is stored:
whether the log's key signed it is for `ledger.log.restored`.
"""

from dataclasses import dataclass, field
from typing import Final

from ledger.store.rows import Rows
from ledger_verifier.meaning.schemas import Lost

#: Bytes of an Ed25519 signature.
SIGNATURE_BYTES: Final = 64
_LOST: Final = "key_class, first, last, entries, backup_size, log_size"


@dataclass(frozen=True, slots=True)
class LossNote:
    """What a restore notes of one loss, and what is stored as the signature of the log's key."""

    lost: Lost
    signature: bytes = field(repr=False)


def lost_statement(blob: str, integer: str) -> str:
    """The table of losses, for a database with these column types. What is declared needs no
    signature: the entry says so."""
    return (
        f"CREATE TABLE lost (first {integer} NOT NULL, last {integer} NOT NULL,"
        f" key_class TEXT NOT NULL, entries {integer} NOT NULL, backup_size {integer} NOT NULL,"
        f" log_size {integer} NOT NULL, signature {blob}, declared {integer})"
    )


def note_lost(rows: Rows, note: LossNote) -> None:
    """Keep in mind what was lost, until an entry declares it."""
    _insert_lost(rows, note.lost, note.signature, None)


def declare_lost(rows: Rows, position: int, lost: Lost) -> None:
    """The entry at a position declares a loss, which was kept in mind or not."""
    rows.execute(
        "DELETE FROM lost WHERE declared IS NULL AND key_class = ? AND first = ? AND last = ?",
        (lost.key_class, lost.first, lost.last),
    )
    _insert_lost(rows, lost, None, position)


def _insert_lost(rows: Rows, lost: Lost, signature: bytes | None, declared: int | None) -> None:
    values = (lost.key_class, lost.first, lost.last, lost.entries, lost.backup_size, lost.log_size)
    rows.execute(
        f"INSERT INTO lost ({_LOST}, signature, declared) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*values, signature, declared),
    )


def select_undeclared(rows: Rows) -> list[LossNote]:
    """What is noted as lost and no entry declares."""
    rows.execute(
        f"SELECT signature, {_LOST} FROM lost WHERE declared IS NULL ORDER BY first, key_class"
    )
    return [LossNote(Lost(*row[1:]), bytes(row[0] or b"")) for row in rows.fetchall()]


def select_declared(rows: Rows) -> list[tuple[int, Lost]]:
    """What entries declare as lost, and their positions."""
    rows.execute(
        f"SELECT declared, {_LOST} FROM lost WHERE declared IS NOT NULL"
        " ORDER BY declared, first, key_class"
    )
    return [(row[0], Lost(*row[1:])) for row in rows.fetchall()]


def is_lost(rows: Rows, position: int, key_class: str) -> bool:
    """Whether an entry of the log declares the sealed fields of an entry, under the key of that
    class, as lost."""
    rows.execute(
        "SELECT COUNT(*) FROM lost WHERE first <= ? AND last >= ? AND key_class = ?"
        " AND declared IS NOT NULL",
        (position, position, key_class),
    )
    return bool(rows.fetchone()[0])
