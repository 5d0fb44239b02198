"""Which wrapping keys the key store has been under: the table `wrapping_keys`.

Guarantees: the newest row is the key that new keys are wrapped under; a key is inserted only while
that is so, because whoever inserts one holds the newest row against whoever adds another. A row is
never changed but to say that nothing is under an earlier key any more, and that the log says so.

A wrapping key has a random reference, which stands before every key wrapped under it, and in the
log. What it is called where it is kept stays here.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from ledger.database import Cursor
from ledger.errors import IntegrityAlarm, VaultUnavailable
from ledger.vault.wrapper import WrappedKeyRefused, WrappingKey

REF_BYTES: Final = 16
_COLUMNS: Final = "number, ref, keeper, name, version, entry_id, began, completed, recorded"


@dataclass(frozen=True, slots=True)
class Registered:
    """A wrapping key of this key store, and the rotation that brought it in.

    Times are POSIX milliseconds. `completed` is when no key was under an earlier one any more, None
    until then; `recorded` says whether the log holds the rotation's entry, whose id is `entry_id`.
    The first row is no rotation.
    """

    number: int
    ref: str
    key: WrappingKey
    entry_id: str
    began: int
    completed: int | None
    recorded: bool

    @property
    def prefix(self) -> bytes:
        """What stands before every key wrapped under this one."""
        return UUID(self.ref).bytes


def create(rows: Cursor, first: WrappingKey, now: int) -> None:
    """Create the table, with the first wrapping key in it."""
    rows.execute(
        "CREATE TABLE wrapping_keys (number BIGINT PRIMARY KEY, ref TEXT NOT NULL UNIQUE,"
        " keeper TEXT NOT NULL, name TEXT NOT NULL, version BIGINT NOT NULL,"
        " entry_id TEXT NOT NULL, began BIGINT NOT NULL, completed BIGINT,"
        " recorded INTEGER NOT NULL)"
    )
    _insert(rows, Registered(1, str(uuid4()), first, str(uuid4()), now, now, recorded=True))


def add(rows: Cursor, newest: Registered, key: WrappingKey, now: int) -> Registered:
    """Begin a rotation: the newest wrapping key, held, gives way to this one."""
    added = Registered(
        newest.number + 1, str(uuid4()), key, str(uuid4()), now, None, recorded=False
    )
    _insert(rows, added)
    return added


def _insert(rows: Cursor, one: Registered) -> None:
    rows.execute(
        f"INSERT INTO wrapping_keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            one.number,
            one.ref,
            one.key.keeper,
            one.key.name,
            one.key.version,
            one.entry_id,
            one.began,
            one.completed,
            int(one.recorded),
        ),
    )


def select_all(rows: Cursor) -> list[Registered]:
    """Every wrapping key there has been, the newest last; raises VaultUnavailable when there is
    none, or what is there is none."""
    rows.execute(f"SELECT {_COLUMNS} FROM wrapping_keys ORDER BY number")
    try:
        found = [
            Registered(
                int(number),
                str(UUID(ref)),
                WrappingKey(keeper, name, int(version)),
                entry_id,
                began,
                completed,
                bool(recorded),
            )
            for (
                number,
                ref,
                keeper,
                name,
                version,
                entry_id,
                began,
                completed,
                recorded,
            ) in rows.fetchall()
        ]
    except (TypeError, ValueError, AttributeError) as error:
        raise VaultUnavailable("The key store's list of wrapping keys is damaged.") from error
    if not found:
        raise VaultUnavailable("The key store names no wrapping key: it is not a key store.")
    return found


def hold(rows: Cursor, newest: Registered, dialect: str, *, to_replace: bool) -> bool:
    """Hold the newest wrapping key until the transaction ends, so that no other is added, or (to
    replace it) that no key is inserted under it. False when it is not the newest any more."""
    if dialect == "postgresql":
        lock = "FOR UPDATE" if to_replace else "FOR SHARE"
        rows.execute(f"SELECT number FROM wrapping_keys WHERE number = ? {lock}", (newest.number,))
        # Who waited for that lock sees what was committed meanwhile only with a new statement.
    rows.execute("SELECT MAX(number) FROM wrapping_keys")
    row = rows.fetchone()
    return row is not None and row[0] == newest.number


def complete(rows: Cursor, one: Registered, now: int) -> None:
    """Say that no key is under an earlier wrapping key any more."""
    rows.execute(
        "UPDATE wrapping_keys SET completed = ? WHERE number = ? AND completed IS NULL",
        (now, one.number),
    )


def mark_recorded(rows: Cursor, one: Registered) -> None:
    """Say that the log holds the rotation's entry."""
    rows.execute("UPDATE wrapping_keys SET recorded = 1 WHERE number = ?", (one.number,))


def replaced_by(every: list[Registered], one: Registered) -> Registered:
    """The wrapping key that a rotation replaced."""
    for earlier in every:
        if earlier.number == one.number - 1:
            return earlier
    raise IntegrityAlarm("The key store's list of wrapping keys lacks a row.")


def split(raw: bytes) -> tuple[bytes, bytes]:
    """The reference before a wrapped key, and the wrapped key; raises WrappedKeyRefused."""
    if len(raw) <= REF_BYTES:
        raise WrappedKeyRefused
    return raw[:REF_BYTES], raw[REF_BYTES:]
