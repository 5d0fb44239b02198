"""The key store: two keys for each stream, apart from the event store and its backups, and the
staff map, each row of it under the log key of its reference.

Guarantees: a key is committed here before anything sealed under it is appended; a destroyed key's
row is deleted, and on SQLite overwritten and gone from the write-ahead log. On PostgreSQL its bytes
stay in the server's files until `ledger.scrubbing` has been there. `applied_through` is the
tree size through which every recorded erasure has been carried out here. A key store that has
applied erasures the log does not hold belongs to a log that was rolled back: that is refused. While
a keeper of the wrapping key is asked, no transaction is open: however slow it is, erasures go on.
"""

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final
from uuid import uuid4

from ledger.database import (
    Cursor,
    Database,
    SqliteDatabase,
    database_errors,
)
from ledger.errorlog import log_error
from ledger.errors import VaultUnavailable
from ledger.vault import registry, staffmap
from ledger.vault.registry import Registered
from ledger.vault.staffmap import StaffRow
from ledger.vault.wrapped import Wrapping
from ledger.vault.wrapper import KEY_BYTES, KeyWrapper

#: A key is prepared again when the wrapping key was replaced meanwhile.
_MAX_ATTEMPTS: Final = 4
#: The class of the key for what is about the person of a stream.
SUBJECT: Final = "subject"
#: The class of a stream's next subject key, for as long as the present one is there.
NEXT: Final = "subject-next"
#: Streams or keys looked up in one statement.
_GROUP = 500

StreamKey = tuple[str, str]

#: The class of the one key that tombstones of what expired are made under; it is of no stream.
TOMBSTONES = "tombstones"


class KeyStore:
    """Keys by (stream, class). Methods block; they may be called from any thread."""

    def __init__(self, database: Database, wrapper: KeyWrapper) -> None:
        self._database = database
        self._wrapping = Wrapping(database, wrapper)

    def create(self) -> None:
        """Create the tables of a new key store, under the newest wrapping key there is; raises
        ConfigurationError or VaultUnavailable."""
        first = self._wrapping.wrapper.newest()
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
            registry.create(rows, first, int(1000 * time.time()))
            staffmap.create(rows, self._database.blob)

    def check_wrapping(self) -> None:
        """Try the wrapping key that new keys go under; raises VaultUnavailable saying what to do
        when it is gone, or its keeper or the key store cannot be asked, or lacks a table."""
        try:
            with self._database.transaction() as rows:
                staffmap.find(rows, "")
            self._wrapping.check(self._wrapping.registered()[-1])
        except database_errors() as error:
            raise VaultUnavailable(
                "The key store cannot be used: it does not answer, or is no whole key store of "
                f"this version ({type(error).__name__})."
            ) from error

    def keys_for(self, wanted: Sequence[StreamKey]) -> dict[StreamKey, tuple[str, bytes]]:
        """Key id and key of each (stream, class), minting what is missing.

        Keys are wrapped and unwrapped while no transaction is open. Another replica may make the
        same keys at this moment: the first one counts.
        """
        for _ in range(_MAX_ATTEMPTS):
            with self._database.transaction() as rows:
                found = self._select(rows, wanted)
                missing = sorted({stream_key for stream_key in wanted if stream_key not in found})
                newest = registry.select_all(rows)[-1] if missing else None
            made: dict[str, bytes] = {}
            if newest is not None:
                made = {str(uuid4()): os.urandom(KEY_BYTES) for _ in missing}
                wrapped = self._wrap(newest, made)
                # In one order everywhere: two replicas that make the same keys must not lock
                # crosswise.
                rows_of = list(zip(missing, wrapped.items(), strict=True))
                with self._database.transaction() as rows:
                    if not registry.hold(rows, newest, self._database.dialect, to_replace=False):
                        continue
                    self._insert(rows, rows_of)
                    found.update(self._select(rows, missing))
            if len(found) < len(set(wanted)):
                raise VaultUnavailable("The key store lost a key while it was being made.")
            return self._opened(found, made, wanted)
        raise VaultUnavailable("The wrapping key is being replaced again and again. Try later.")

    def _wrap(self, under: Registered, keys: Mapping[str, bytes]) -> dict[str, bytes]:
        try:
            return self._wrapping.wrap(under, keys)
        except VaultUnavailable as error:
            raise _reported(error) from error

    def _insert(self, rows: Cursor, minted: Sequence[tuple[StreamKey, tuple[str, bytes]]]) -> None:
        rows.executemany(
            "INSERT INTO stream_keys (key_id, stream, key_class, wrapped)"
            " VALUES (?, ?, ?, ?) ON CONFLICT (stream, key_class) DO NOTHING",
            [
                (key_id, stream, key_class, wrapped)
                for (stream, key_class), (key_id, wrapped) in minted
            ],
        )

    def _opened(
        self,
        found: dict[StreamKey, tuple[str, bytes]],
        made: Mapping[str, bytes],
        wanted: Sequence[StreamKey],
    ) -> dict[StreamKey, tuple[str, bytes]]:
        """Stored keys unwrapped, but for those made just now."""
        closed = {key_id: raw for key_id, raw in found.values() if key_id not in made}

        def again() -> dict[str, bytes]:
            with self._database.transaction() as rows:
                return dict(self._select(rows, wanted).values())

        keys = {**made, **self._unwrap(closed, again)}
        return {stream_key: (key_id, keys[key_id]) for stream_key, (key_id, _) in found.items()}

    def _unwrap(
        self, stored: Mapping[str, bytes], again: Callable[[], Mapping[str, bytes]]
    ) -> dict[str, bytes]:
        """Keys by their ids. Between reading and unwrapping them, they may have been wrapped anew
        and the old wrapping key destroyed: then they are read again, once."""
        try:
            return self._wrapping.unwrap(stored)
        except VaultUnavailable as error:
            now = again()
            newer = {key_id: now.get(key_id, raw) for key_id, raw in stored.items()}
            if newer == stored:
                raise _reported(error) from error
        try:
            return self._wrapping.unwrap(newer)
        except VaultUnavailable as error:
            raise _reported(error) from error

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

    def places_of(self, stream: str, key_ids: Collection[str]) -> dict[str, StreamKey]:
        """The stream and the class of each of these keys that is there, and of every key of the
        stream."""
        with self._database.transaction() as rows:
            rows.execute(
                "SELECT key_id, stream, key_class FROM stream_keys"
                f" WHERE stream = ? OR key_id IN ({','.join('?' * len(key_ids)) or 'NULL'})",
                [stream, *key_ids],
            )
            return {str(row[0]): (str(row[1]), str(row[2])) for row in rows.fetchall()}

    def ids_of(self, streams: Sequence[str]) -> dict[str, list[str]]:
        """The ids of the keys of each of these streams that has any, whether used or not."""
        found: dict[str, list[str]] = {}
        with self._database.transaction() as rows:
            for start in range(0, len(streams), _GROUP):
                group = streams[start : start + _GROUP]
                rows.execute(
                    "SELECT stream, key_id FROM stream_keys"
                    f" WHERE stream IN ({','.join('?' * len(group))})",
                    group,
                )
                for stream, key_id in rows.fetchall():
                    found.setdefault(stream, []).append(key_id)
        return found

    def streams_of(self, key_ids: Iterable[str]) -> dict[str, str]:
        """The stream of each of these keys that is there."""
        wanted, found = sorted(set(key_ids)), dict[str, str]()
        with self._database.transaction() as rows:
            for start in range(0, len(wanted), _GROUP):
                group = wanted[start : start + _GROUP]
                rows.execute(
                    "SELECT key_id, stream FROM stream_keys"
                    f" WHERE key_id IN ({','.join('?' * len(group))})",
                    group,
                )
                found.update((str(key_id), str(stream)) for key_id, stream in rows.fetchall())
        return found

    def keys(self, key_ids: Iterable[str]) -> dict[str, bytes]:
        """Keys by their ids, without those that have been destroyed (or never were)."""
        wanted = sorted(set(key_ids))
        return self._unwrap(self._stored(wanted), lambda: self._stored(wanted))

    def _stored(self, wanted: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with self._database.transaction() as rows:
            for start in range(0, len(wanted), _GROUP):
                group = wanted[start : start + _GROUP]
                rows.execute(
                    "SELECT key_id, wrapped FROM stream_keys"
                    f" WHERE key_id IN ({','.join('?' * len(group))})",
                    group,
                )
                found.update((row[0], bytes(row[1])) for row in rows.fetchall())
        return found

    def keep_staff(self, reference: str, row: StaffRow) -> StaffRow:
        """Store a row of the staff map; returns the row that the reference has now, which is an
        earlier one where there was one."""
        with self._database.transaction() as rows:
            staffmap.keep(rows, reference, row)
            kept = staffmap.find(rows, reference)
        if kept is None:
            raise VaultUnavailable("The staff map lost a row while it was being written.")
        return kept

    def staff(self, reference: str) -> StaffRow | None:
        """The row of a reference in the staff map."""
        with self._database.transaction() as rows:
            return staffmap.find(rows, reference)

    def unrecorded_rotations(self) -> list[tuple[Registered, Registered]]:
        """Rotations of the wrapping key that are complete and not yet in the log, in order: the
        key replaced and the key that replaced it."""
        every = self._wrapping.registered()
        return [
            (registry.replaced_by(every, one), one)
            for one in every
            if one.completed is not None and not one.recorded
        ]

    def mark_rotation_recorded(self, rotation: Registered) -> None:
        """Remember that the log holds this rotation's entry."""
        with self._database.transaction() as rows:
            registry.mark_recorded(rows, rotation)

    def wrapped(self, key_ids: Iterable[str]) -> list[bytes]:
        """Keys as they are stored, of those ids that are there."""
        return list(self._stored(sorted(set(key_ids))).values())

    def applied_through(self) -> int:
        """The tree size through which every recorded erasure has been carried out."""
        with self._database.transaction() as rows:
            rows.execute("SELECT applied_through FROM vault_state")
            row = rows.fetchone()
        if row is None:
            raise VaultUnavailable("The key store has no state row: it is not a key store.")
        return int(row[0])

    def destroy(self, keys: Iterable[tuple[str, str, bool]], through: int) -> None:
        """Delete these keys, each named by its id and its stream, and remember that erasures below
        tree size `through` are done. A key of another stream, or none for its person's data, is
        left alone. Where the rest of the stream is kept (the third), its next key takes the place
        of the one deleted; else a next key that was made and never used goes too. A key whose
        stream has expired is named by its id alone: nothing knows the stream any more. What the
        staff map has under a key goes with it.

        Raises VaultUnavailable when a reader holds the write-ahead log, where the deleted keys
        still are: nothing is remembered then, so that it is done again.
        """
        with self._database.transaction() as rows:
            for key_id, stream, kept in keys:
                _destroy(rows, key_id, stream, kept=kept)
        if isinstance(self._database, SqliteDatabase) and not self._database.truncate_log():
            raise VaultUnavailable("The key store is being read by another process. Try again.")
        with self._database.transaction() as rows:
            rows.execute(
                "UPDATE vault_state SET applied_through = ? WHERE applied_through < ?",
                (through, through),
            )

    def vacuum(self) -> None:
        """Free the place of deleted rows, which a SQLite file overwrote."""
        for table in ("stream_keys", staffmap.TABLE):
            self._database.vacuum(table)

    def close(self) -> None:
        self._database.close()


def _reported(error: VaultUnavailable) -> VaultUnavailable:
    """What whoever asked is told. What is wrong with the wrapping key, or with where it is kept, is
    for whoever runs the ledger: it is logged."""
    log_error("the wrapping key cannot be used", error, reason=error.detail)
    return VaultUnavailable("The keys of sealed fields cannot be had now. Try again later.")


def _destroy(rows: Cursor, key_id: str, stream: str, *, kept: bool) -> None:
    """Delete a key, once: whoever does it again must not touch what was made since."""
    if not stream:
        # Every key of a stream that expired is named, and what the staff map has under it.
        staffmap.delete_under(rows, key_id)
        rows.execute(
            "DELETE FROM stream_keys WHERE key_id = ? AND key_class <> ?", (key_id, TOMBSTONES)
        )
        return
    rows.execute(
        "SELECT 1 FROM stream_keys WHERE key_id = ? AND stream = ? AND key_class IN (?, ?)",
        (key_id, stream, SUBJECT, NEXT),
    )
    if rows.fetchone() is None:
        return
    rows.execute("DELETE FROM stream_keys WHERE key_id = ?", (key_id,))
    change = (
        f"UPDATE stream_keys SET key_class = '{SUBJECT}'" if kept else "DELETE FROM stream_keys"
    )
    rows.execute(f"{change} WHERE stream = ? AND key_class = ?", (stream, NEXT))
