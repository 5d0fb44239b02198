"""The key store: two keys for each stream, apart from the event store and its backups.

Guarantees: a key is committed here before anything sealed under it is appended; a destroyed key's
row is deleted, and on SQLite overwritten and gone from the write-ahead log. On PostgreSQL its bytes
stay in the table's pages until these are vacuumed and used again, and in the server's write-ahead
log until that is recycled: docs/operations.md says what to do about it. `applied_through` is the
tree size through which every recorded erasure has been carried out here. A key store that has
applied erasures the log does not hold belongs to a log that was rolled back: that is refused.
"""

import os
from collections.abc import Iterable, Sequence
from uuid import uuid4

from ledger.database import Cursor, Database, SqliteDatabase
from ledger.errors import VaultUnavailable
from ledger.vault.wrapper import KeyWrapper

KEY_BYTES = 32
#: Streams or keys looked up in one statement.
_GROUP = 500

StreamKey = tuple[str, str]


class KeyStore:
    """Keys by (stream, class). Methods block; they may be called from any thread."""

    def __init__(self, database: Database, wrapper: KeyWrapper) -> None:
        self._database = database
        self._wrapper = wrapper

    def create(self) -> None:
        """Create the tables of a new key store."""
        with self._database.transaction() as rows:
            rows.execute(
                "CREATE TABLE stream_keys (key_id TEXT PRIMARY KEY, stream TEXT NOT NULL,"
                f" key_class TEXT NOT NULL, wrapped {self._database.blob} NOT NULL,"
                " UNIQUE (stream, key_class))"
            )
            rows.execute(
                "CREATE TABLE vault_state (one INTEGER PRIMARY KEY CHECK (one = 1),"
                " applied_through BIGINT NOT NULL)"
            )
            rows.execute("INSERT INTO vault_state (one, applied_through) VALUES (1, 0)")

    def keys_for(self, wanted: Sequence[StreamKey]) -> dict[StreamKey, tuple[str, bytes]]:
        """Key id and key of each (stream, class), minting what is missing, in one transaction."""
        with self._database.transaction() as rows:
            found = self._select(rows, wanted)
            missing = [stream_key for stream_key in wanted if stream_key not in found]
            if missing:
                self._mint(rows, missing)
                found.update(self._select(rows, missing))
        if len(found) < len(set(wanted)):
            raise VaultUnavailable("The key store lost a key while it was being made.")
        return {
            stream_key: (key_id, self._wrapper.unwrap(key_id, wrapped))
            for stream_key, (key_id, wrapped) in found.items()
        }

    def _mint(self, rows: Cursor, missing: Sequence[StreamKey]) -> None:
        """Make keys. Another replica may make the same at this moment: the first one counts."""
        random = os.urandom(KEY_BYTES * len(missing))
        minted = []
        # In one order everywhere: two replicas that make the same keys must not lock crosswise.
        for index, (stream, key_class) in enumerate(sorted(missing)):
            key_id = str(uuid4())
            key = random[KEY_BYTES * index : KEY_BYTES * (index + 1)]
            minted.append((key_id, stream, key_class, self._wrapper.wrap(key_id, key)))
        rows.executemany(
            "INSERT INTO stream_keys (key_id, stream, key_class, wrapped)"
            " VALUES (?, ?, ?, ?) ON CONFLICT (stream, key_class) DO NOTHING",
            minted,
        )

    def _select(
        self, rows: Cursor, wanted: Sequence[StreamKey]
    ) -> dict[StreamKey, tuple[str, bytes]]:
        found: dict[StreamKey, tuple[str, bytes]] = {}
        streams = sorted({stream for stream, _ in wanted})
        asked = set(wanted)
        for start in range(0, len(streams), _GROUP):
            group = streams[start : start + _GROUP]
            rows.execute(
                "SELECT stream, key_class, key_id, wrapped FROM stream_keys"
                f" WHERE stream IN ({','.join('?' * len(group))})",
                group,
            )
            for stream, key_class, key_id, wrapped in rows.fetchall():
                if (stream, key_class) in asked:
                    found[(stream, key_class)] = (key_id, bytes(wrapped))
        return found

    def keys(self, key_ids: Iterable[str]) -> dict[str, bytes]:
        """Keys by their ids, without those that have been destroyed (or never were)."""
        found: dict[str, bytes] = {}
        wanted = sorted(set(key_ids))
        with self._database.transaction() as rows:
            for start in range(0, len(wanted), _GROUP):
                group = wanted[start : start + _GROUP]
                rows.execute(
                    "SELECT key_id, wrapped FROM stream_keys"
                    f" WHERE key_id IN ({','.join('?' * len(group))})",
                    group,
                )
                found.update((row[0], bytes(row[1])) for row in rows.fetchall())
        return {key_id: self._wrapper.unwrap(key_id, raw) for key_id, raw in found.items()}

    def applied_through(self) -> int:
        """The tree size through which every recorded erasure has been carried out."""
        with self._database.transaction() as rows:
            rows.execute("SELECT applied_through FROM vault_state")
            row = rows.fetchone()
        if row is None:
            raise VaultUnavailable("The key store has no state row: it is not a key store.")
        return int(row[0])

    def destroy(self, keys: Iterable[tuple[str, str]], through: int) -> None:
        """Delete these keys, each named by its id and its stream, and remember that erasures below
        tree size `through` are done. A key of another stream is left alone.

        Raises VaultUnavailable when a reader holds the write-ahead log, where the deleted keys
        still are: nothing is remembered then, so that it is done again.
        """
        with self._database.transaction() as rows:
            for key_id, stream in keys:
                rows.execute(
                    "DELETE FROM stream_keys WHERE key_id = ? AND stream = ?", (key_id, stream)
                )
        if isinstance(self._database, SqliteDatabase) and not self._database.truncate_log():
            raise VaultUnavailable("The key store is being read by another process. Try again.")
        with self._database.transaction() as rows:
            rows.execute(
                "UPDATE vault_state SET applied_through = ? WHERE applied_through < ?",
                (through, through),
            )

    def close(self) -> None:
        self._database.close()
