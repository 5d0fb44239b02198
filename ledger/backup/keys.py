"""The key store of a restore: the one that is still there, or one from its own backup.

Guarantees: before anything is put in place, every key that an erasure or expiry of the restored log
names is destroyed, and where streams have expired that the key store may still have keys of, every
key of a stream that the log does not have: nothing names those any more. A key store that has
carried out erasures which the log does not hold, or that lacks a key which a sealed row is under,
cannot be right beside that event store, and is refused. How far erasures are carried out is noted
last, so that whatever is interrupted is done again.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import psycopg

from ledger.backup.archive import ArchiveReader
from ledger.backup.expired import KeysOfExpired
from ledger.backup.make import table_part
from ledger.backup.place import Staging
from ledger.backup.tables import fill, tables_of_stores
from ledger.config import DataDirectory
from ledger.database import (
    Database,
    SqliteDatabase,
    is_postgres_url,
    open_database,
)
from ledger.errors import ConfigurationError, IntegrityAlarm, VaultUnavailable
from ledger.postgresql import has_table
from ledger.store.expiry import NO_STREAM
from ledger.vault.erasure import Destroyed, check_against_log, check_own
from ledger.vault.keepers import open_wrapper
from ledger.vault.keystore import TOMBSTONES, KeyStore
from ledger.vault.registry import REF_BYTES
from ledger.vault.wrapper import WrappedKeyRefused

#: A table of a key database that a restore is filling: from what, and whether that is finished.
_MARK: Final = "restoring"
#: The key that tombstones are made under is of no stream.
TOMBSTONE_KEY: Final = ("", TOMBSTONES)


_BRING_BACK: Final = (
    "The backup is not at fault, and no backup holds wrapping keys; nothing was put in place. "
    "Bring back every wrapping key that was in use when it was made, and run this command again."
)


class KeyTarget:
    """The key store that the restored event store will be beside."""

    def __init__(
        self,
        directory: DataDirectory,
        archive: ArchiveReader | None,
        staging: Staging,
        *,
        replace: bool,
    ) -> None:
        """Raises ConfigurationError when there is none, or one is in the way."""
        self._directory, self._archive, self._staging = directory, archive, staging
        self._location = directory.key_database
        if is_postgres_url(self._location):
            return
        there = Path(self._location).is_file()
        if archive is None and not there:
            raise ConfigurationError(
                f"There is no key store at {self._location}. Without it nothing sealed can be "
                "opened: give its backup with --keys-from."
            )
        if archive is not None and there and not replace:
            raise ConfigurationError(
                f"There is a key store at {self._location} already. Leave out --keys-from to keep "
                "it, or give --replace to move it aside."
            )
        if archive is not None:
            self._location = str(staging.path / "keys.sqlite")

    def make(self, *, committed: bool, kept: bool) -> str:
        """Fill it from its archive, if there is one; returns where it is for now. If the event
        store is `committed` already by this restore, which was interrupted, a key store that it had
        finished stays as it is, in the staging folder (`kept`) or in a database."""
        archive, remote = self._archive, is_postgres_url(self._location)
        if archive is None:
            if remote and not _holds(self._location, "vault_state"):
                raise ConfigurationError(
                    "The key database holds no key store. Without it nothing sealed can be opened: "
                    "give its backup with --keys-from."
                )
        elif not (self._is_finished(committed) if remote else kept):
            self._fill(archive)
        self._check_wrapping()
        return self._location

    def _check_wrapping(self) -> None:
        """Raise ConfigurationError unless the wrapping keys that the key store's keys are under are
        at hand: what is wrong is then not the backup, and no other one would do. A single key that
        was altered is for the check of the whole to find."""
        with self._open() as database:
            with database.transaction() as rows:
                # A wrapped key begins with what names its wrapping key.
                rows.execute(
                    "SELECT MIN(key_id), MAX(key_id) FROM stream_keys"
                    f" GROUP BY substr(wrapped, 1, {REF_BYTES})"
                )
                samples = rows.fetchall()
            keys = self._store(database)
            for sample in samples:
                if not any(_opens(keys, str(key_id)) for key_id in sample):
                    raise ConfigurationError(
                        "The wrapping key here is another than the one that the key store is "
                        f"under. {_BRING_BACK}"
                    )

    def _is_finished(self, committed: bool) -> bool:
        """Whether a key database holds what this restore has finished. It is marked as this
        restore's from before its first table until everything is in its place. Raises
        ConfigurationError when it holds anything else."""
        with self._open() as database, database.transaction() as rows:
            rows.execute(f"CREATE TABLE IF NOT EXISTS {_MARK} (source TEXT, done INTEGER)")
            rows.execute(f"SELECT source, done FROM {_MARK}")
            mark = rows.fetchone()
            rows.execute("SELECT to_regclass('vault_state') IS NOT NULL")
            there = rows.fetchone() == (True,)
            if mark is not None and mark[0] != self._staging.source:
                raise ConfigurationError(
                    "A restore from another backup, key store or tail was interrupted in the key "
                    "database. Run that one again, or name an empty database."
                )
            if mark is None and there and not committed:
                raise ConfigurationError(
                    "The key database holds a key store already. Leave out --keys-from to keep it, "
                    "or name an empty database."
                )
            done = committed and there and (mark is None or bool(mark[1]))
            if mark is None:
                rows.execute(
                    f"INSERT INTO {_MARK} (source, done) VALUES (?, ?)",
                    (self._staging.source, int(done)),
                )
        return done

    def _fill(self, archive: ArchiveReader) -> None:
        """A new key store from the archive, in the place of one that was half made."""
        known = tables_of_stores()[1]
        with self._open() as database:
            with database.transaction() as rows:
                for table in known:
                    rows.execute(f"DROP TABLE IF EXISTS {table}")
            self._store(database).create()
            with database.transaction() as rows:
                for table, columns in known.items():
                    if table_part(table) in archive.manifest.parts:
                        fill(rows, table, archive.lines(table_part(table)), columns)

    def done(self) -> None:
        """Nothing more happens to it: the event store may be committed."""
        if self._archive is not None and is_postgres_url(self._location):
            with self._open() as database, database.transaction() as rows:
                rows.execute(f"UPDATE {_MARK} SET done = 1")
        self._staging.keys_done()

    def abandon(self) -> None:
        """The restore is refused, or cannot go on: a key database that it was filling is empty
        again, for another attempt."""
        if not is_postgres_url(self._location) or not _holds(self._location, _MARK):
            return
        with self._open() as database, database.transaction() as rows:
            rows.execute(f"SELECT 1 FROM {_MARK} WHERE source = ?", (self._staging.source,))
            if rows.fetchone() is not None:
                for table in (*tables_of_stores()[1], _MARK):
                    rows.execute(f"DROP TABLE IF EXISTS {table}")

    def of_expired(self) -> KeysOfExpired:
        """What an expiry asks of the key store."""
        return KeysOfExpired(self._tombstones, self._ids_of, self._check_own)

    def _tombstones(self, key_id: str | None) -> tuple[str, bytes]:
        with self._open() as database:
            keys = self._store(database)
            if key_id is None:
                return keys.keys_for([TOMBSTONE_KEY])[TOMBSTONE_KEY]
            found = keys.keys([key_id])
        if key_id not in found:
            raise IntegrityAlarm(
                "The key store lacks the key that what has expired is told by: it is older than "
                "the first expiry. Restore a backup of the key store that was made with the event "
                "store's, or later."
            )
        return key_id, found[key_id]

    def _ids_of(self, streams: Sequence[str]) -> dict[str, list[str]]:
        with self._open() as database:
            return self._store(database).ids_of(streams)

    def _check_own(self, key_ids: Collection[str], streams: Collection[str]) -> None:
        with self._open() as database:
            check_own(self._store(database), key_ids, streams)

    def erase(self, size: int, destroyed: Destroyed) -> None:
        """Destroy every key that the restored log of this size says is destroyed; raises
        IntegrityAlarm when the key store is ahead of that log."""
        with self._open() as database:
            keys = self._store(database)
            check_against_log(keys, lambda: size)
            through = keys.applied_through()
            named = destroyed(through)
            keys.destroy([(key.key_id, key.stream, key.kept) for key in named], through)

    def settle(
        self,
        destroyed: Destroyed,
        expired_through: int,
        recorded: Callable[[Sequence[str]], Collection[str]],
    ) -> None:
        """Once the log is found good: destroy the keys of streams that it does not have, if streams
        have expired since the key store last destroyed any, and note how far it has come.
        `recorded` are those of some streams that the log has."""
        with self._open() as database:
            keys = self._store(database)
            before = keys.applied_through()
            through = max([expired_through, *(key.position + 1 for key in destroyed(before))])
            if through > before:
                strays = self._strays(database, recorded) if expired_through > before else []
                keys.destroy([(key_id, NO_STREAM, False) for key_id in strays], through)

    def _strays(
        self, database: Database, recorded: Callable[[Sequence[str]], Collection[str]]
    ) -> list[str]:
        with database.transaction() as rows:
            # What is not under `kind/id` is the key of no stream.
            rows.execute("SELECT key_id, stream FROM stream_keys WHERE stream LIKE ?", ("%/%",))
            streams = {str(key_id): str(stream) for key_id, stream in rows.fetchall()}
        there = recorded(sorted(set(streams.values())))
        return [key_id for key_id, stream in streams.items() if stream not in there]

    def check_complete(self, in_use: Collection[str]) -> None:
        """Every key that a sealed row is under must be there; raises IntegrityAlarm."""
        with self._open() as database, database.transaction() as rows:
            rows.execute("SELECT key_id FROM stream_keys")
            missing = set(in_use) - {row[0] for row in rows.fetchall()}
        if missing:
            raise IntegrityAlarm(
                f"The key store lacks {len(missing)} keys that sealed fields of the event store "
                "are under: it is older than they are, or was emptied. Restore a backup of the key "
                "store that was made with the event store's, or later."
            )

    @contextmanager
    def _open(self) -> Iterator[Database]:
        with closing(open_database(self._location)) as database:
            yield database
            if isinstance(database, SqliteDatabase):
                # Everything into the one file that is moved.
                database.truncate_log()

    def _store(self, database: Database) -> KeyStore:
        return KeyStore(database, open_wrapper(self._directory))


def _opens(keys: KeyStore, key_id: str) -> bool:
    """Whether a stored key opens; raises ConfigurationError when that cannot be tried."""
    try:
        return bool(keys.keys([key_id]))
    except WrappedKeyRefused:
        return False
    except VaultUnavailable as error:
        raise ConfigurationError(f"{error.detail} {_BRING_BACK}") from error


def release(location: str) -> None:
    """Everything is in its place: what the key store at a location holds is no restore's any
    more."""
    if is_postgres_url(location) and _holds(location, _MARK):
        with closing(psycopg.connect(location, connect_timeout=10)) as connection:
            connection.execute(f"DROP TABLE IF EXISTS {_MARK}".encode())
            connection.commit()


def _holds(url: str, table: str) -> bool:
    with closing(psycopg.connect(url, connect_timeout=10)) as connection:
        return has_table(connection, table)
