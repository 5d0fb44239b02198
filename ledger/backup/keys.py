"""The key store of a restore: the one that is still there, or one from its own backup.

Guarantees: before anything is put in place, every key that an erasure of the restored log names is
destroyed. A key store that has carried out erasures which the log does not hold, or that lacks a
key which a sealed row is under, cannot be right beside that event store, and is refused.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import orjson
import psycopg

from ledger.backup.archive import ArchiveReader
from ledger.backup.make import table_part
from ledger.backup.place import Staging
from ledger.backup.tables import fill, tables_of_stores
from ledger.config import DataDirectory
from ledger.database import Database, SqliteDatabase, is_postgres_url, open_database
from ledger.errors import ConfigurationError, IntegrityAlarm
from ledger.store.records import DestroyedKey
from ledger.vault.erasure import apply_erasures, check_against_log
from ledger.vault.keepers import open_wrapper
from ledger.vault.keystore import KeyStore


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
        self._directory, self._archive = directory, archive
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

    def make(self) -> str:
        """Fill it from its archive, if there is one; returns where it is for now."""
        archive = self._archive
        there = is_postgres_url(self._location) and _is_key_store(self._location)
        if archive is None:
            if is_postgres_url(self._location) and not there:
                raise ConfigurationError(
                    "The key database holds no key store. Without it nothing sealed can be opened: "
                    "give its backup with --keys-from."
                )
            return self._location
        if there:
            self._recognise(archive)
            return self._location
        known = tables_of_stores()[1]
        with self._open() as database:
            self._store(database).create()
            with database.transaction() as rows:
                for table, columns in known.items():
                    if table_part(table) in archive.manifest.parts:
                        fill(rows, table, archive.lines(table_part(table)), columns)
        return self._location

    def erase(self, size: int, destroyed: Callable[[int], Sequence[DestroyedKey]]) -> None:
        """Destroy every key that the restored log of this size says is destroyed; raises
        IntegrityAlarm when the key store is ahead of that log."""
        with self._open() as database:
            keys = self._store(database)
            check_against_log(keys, lambda: size)
            apply_erasures(keys, destroyed)

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

    def _recognise(self, archive: ArchiveReader) -> None:
        """A key store that is there already is left alone, unless it is what this restore put there
        before it was interrupted: nothing but what the archive holds."""
        lines = archive.lines(table_part("stream_keys"))
        place = orjson.loads(next(lines))["columns"].index("key_id")
        archived = {orjson.loads(line)[place] for line in lines}
        with self._open() as database, database.transaction() as rows:
            rows.execute("SELECT key_id FROM stream_keys")
            there = {row[0] for row in rows.fetchall()}
            rows.execute("SELECT applied_through FROM vault_state")
            state = rows.fetchone()
        if state is None or not there <= archived or state[0] < archive.manifest.applied_through:
            raise ConfigurationError(
                "The key database holds a key store already. Leave out --keys-from to keep it, or "
                "name an empty database."
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


def _is_key_store(url: str) -> bool:
    with closing(psycopg.connect(url, connect_timeout=10)) as connection:
        row = connection.execute("SELECT to_regclass('vault_state') IS NOT NULL").fetchone()
    return row is not None and bool(row[0])
