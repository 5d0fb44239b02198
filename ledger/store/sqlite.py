"""The event store on SQLite.

Guarantees: every append is one `BEGIN IMMEDIATE` transaction with WAL and synchronous=FULL, so
that what was acknowledged survives power loss. One process writes (the caller holds the data
directory's lock) through one connection, which alone checkpoints the write-ahead log; readers are
query-only. Deleted rows are overwritten (`secure_delete`) and, after `scrub`, are in no log.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteTransaction,
)

from ledger.database import make_private_file
from ledger.errors import ConfigurationError
from ledger.store.base import AppendTransaction, Store, create_statements
from ledger.store.records import EVENTS_TABLE, StoredEntry
from ledger.store.rows import Rows, select_head

PAGE_BYTES: Final = 8192
#: Pages of write-ahead log between checkpoints: 16 MB, where SQLite's own 4 MB writes more in bulk.
WAL_PAGES: Final = 2000
CACHE_KIB: Final = 65_536
BUSY_SECONDS: Final = 10


class _ImmediateTransaction(SQLiteTransaction):
    """Takes the write lock at once: a deferred read-then-write fails when another writes."""

    def __enter__(self) -> SQLiteCursor:
        cursor = self.connection.cursor()
        cursor.execute("BEGIN IMMEDIATE" if self.commit else "BEGIN")
        return cursor


class _Connection(SQLiteConnection):
    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        with _ImmediateTransaction(self, commit=commit) as cursor, cursor:
            yield cursor


class _Pool(SQLiteConnectionPool):
    """Connections with this store's pragmas; the library offers no setting for them."""

    writer = False

    def _create_connection(self) -> SQLiteConnection:
        connection = sqlite3.connect(
            self.db_name,
            uri=True,
            check_same_thread=False,
            isolation_level=None,
            cached_statements=256,
            timeout=BUSY_SECONDS,
        )
        connection.row_factory = sqlite3.Row
        pragmas = [
            # Of a database that is empty yet: an entry is about a kilobyte, and in pages of 4096
            # bytes a seventh of what entries and sealed fields take up would be left over.
            f"page_size={PAGE_BYTES}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "secure_delete=ON",
            "temp_store=MEMORY",
            f"cache_size=-{CACHE_KIB}",
            f"wal_autocheckpoint={WAL_PAGES if self.writer else 0}",
            f"query_only={'OFF' if self.writer else 'ON'}",
        ]
        for pragma in pragmas[0 if self.writer else 2 :]:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return _Connection(connection, max_age=None)


class _Datastore(SQLiteDatastore):
    def __init__(self, path: Path, *, writer: bool) -> None:
        # A file: URI, so that a missing database is an error and never made by a reader.
        mode = "rwc" if writer else "rw"
        uri = f"{path.absolute().as_uri()}?mode={mode}"
        super().__init__(
            uri,
            pool_size=1 if writer else 4,
            max_overflow=0 if writer else 16,
            pool_timeout=30.0,
            originator_id_type="text",
        )
        self.pool = _Pool(
            db_name=uri,
            pool_size=1 if writer else 4,
            max_overflow=0 if writer else 16,
            pool_timeout=30.0,
        )
        self.pool.writer = writer


class EntryRecorder(SQLiteApplicationRecorder):
    """The library's recorder with positions assigned by us: notification id = position + 1."""

    def construct_create_table_statements(self) -> list[str]:
        # The key column is named rowid because the library selects it by that name; being an
        # INTEGER PRIMARY KEY it is never renumbered.
        return [
            f"CREATE TABLE {self.events_table_name} (rowid INTEGER PRIMARY KEY,"
            " originator_id TEXT NOT NULL, originator_version INTEGER NOT NULL,"
            " topic TEXT NOT NULL, state BLOB NOT NULL,"
            " UNIQUE (originator_id, originator_version))"
        ]

    def insert_at(self, rows: Rows, first: int, events: Sequence[StoredEvent]) -> None:
        """Insert events at positions first, first + 1, ... inside an open transaction."""
        rows.executemany(
            f"INSERT INTO {self.events_table_name}"
            " (rowid, originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?, ?)",
            [
                (first + i + 1, e.originator_id, e.originator_version, e.topic, e.state)
                for i, e in enumerate(events)
            ],
        )


class SqliteStore(Store):
    """A ledger in one SQLite file."""

    position_sql = "rowid - 1"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: _Datastore | None = None
        self._readers = _Datastore(path, writer=False)
        self._recorder = EntryRecorder(self._readers, EVENTS_TABLE)

    def _writing(self) -> _Datastore:
        if self._writer is None:
            self._writer = _Datastore(self._path, writer=True)
        return self._writer

    def create(self) -> None:
        if self._path.exists():
            raise ConfigurationError("There is a ledger database here already.")
        make_private_file(self._path)
        with self._writing().transaction(commit=True) as cursor:
            for statement in self._recorder.create_table_statements:
                cursor.execute(statement)
            for statement in create_statements("BLOB", "INTEGER"):
                # Small fixed-width keys need no second b-tree.
                slim = statement.startswith(
                    (
                        "CREATE TABLE cells",
                        "CREATE TABLE duplicates",
                        "CREATE TABLE stream_heads",
                        "CREATE TABLE tombstones",
                    )
                )
                cursor.execute(statement + (" WITHOUT ROWID" if slim else ""))

    @contextmanager
    def append(self) -> Iterator[AppendTransaction]:
        with self._write() as rows:
            yield AppendTransaction(rows, select_head(rows), self)

    @contextmanager
    def _write(self) -> Iterator[Rows]:
        with self._writing().transaction(commit=True) as cursor:
            yield cursor

    @contextmanager
    def read(self) -> Iterator[Rows]:
        with self._readers.transaction(commit=False) as cursor:
            yield cursor

    def snapshot(self) -> AbstractContextManager[Rows]:
        # A deferred transaction sees one moment from its first read on.
        return self.read()

    def insert_entries(self, rows: Rows, first: int, events: Sequence[StoredEvent]) -> None:
        self._recorder.insert_at(rows, first, events)

    def entries(self, start: int, limit: int, types: Sequence[str] = ()) -> list[StoredEntry]:
        notifications = self._recorder.select_notifications(start + 1, limit, topics=types)
        return [
            StoredEntry(n.id - 1, str(n.originator_id), n.originator_version, n.topic, n.state)
            for n in notifications
        ]

    def try_publisher(self) -> bool:
        # The lock on the data directory admits one writer process, which is the publisher.
        return True

    def now(self) -> float | None:
        return None

    def scrub(self, *, expired: bool = False) -> bool:
        with self._writing().get_connection(commit=True) as connection:
            cursor: Any = connection.cursor()
            # A reader in the way must not hold up the appends: give up at once.
            cursor.execute("PRAGMA busy_timeout=0")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            busy = cursor.fetchall()[0][0]
            cursor.execute(f"PRAGMA busy_timeout={1000 * BUSY_SECONDS}")
            return not busy

    def close(self) -> None:
        self._readers.close()
        if self._writer is not None:
            self._writer.close()
