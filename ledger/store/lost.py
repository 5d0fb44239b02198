"""Sealed fields that are lost: noted by a restore, declared by an entry of the log.

Guarantees: what is noted stays so until an entry declares it, in the transaction that appends that
entry; what an entry declares is explained from then on.
"""

from typing import Final

from ledger.store.rows import Rows
from ledger_verifier.meaning.schemas import Lost

_LOST: Final = "key_class, first, last, entries, backup_size, log_size"


def note_lost(rows: Rows, lost: Lost) -> None:
    """Keep in mind what was lost, until an entry declares it."""
    _insert_lost(rows, lost, None)


def declare_lost(rows: Rows, position: int, lost: Lost) -> None:
    """The entry at a position declares a loss, which was kept in mind or not."""
    rows.execute(
        "DELETE FROM lost WHERE declared IS NULL AND key_class = ? AND first = ? AND last = ?",
        (lost.key_class, lost.first, lost.last),
    )
    _insert_lost(rows, lost, position)


def _insert_lost(rows: Rows, lost: Lost, declared: int | None) -> None:
    values = (lost.key_class, lost.first, lost.last, lost.entries, lost.backup_size, lost.log_size)
    rows.execute(
        f"INSERT INTO lost ({_LOST}, declared) VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, declared)
    )


def select_undeclared(rows: Rows) -> list[Lost]:
    """What was lost and no entry declares."""
    rows.execute(f"SELECT {_LOST} FROM lost WHERE declared IS NULL ORDER BY first, key_class")
    return [Lost(*row) for row in rows.fetchall()]


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
