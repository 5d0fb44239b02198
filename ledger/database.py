"""A small DB-API adapter for the side stores (keys, tokens), on SQLite or PostgreSQL.

Guarantees: a transaction that returned has been committed durably (SQLite: WAL with
synchronous=FULL and secure_delete; PostgreSQL: the server's synchronous commit); one that raised
has been rolled back. The log itself does not use this module: see `ledger.store`.
"""

import os
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from eventsourcing.persistence import PersistenceError

from ledger.errors import ConfigurationError

if TYPE_CHECKING:
    from ledger.postgresql import PostgresDatabase

#: Milliseconds a SQLite transaction waits for another process's transaction to end.
BUSY_MS: Final = 10_000


def database_errors(*also: type[Exception]) -> tuple[type[Exception], ...]:
    """What a database raises when it, its file or its server cannot do what was asked. Asked when
    something was raised: where the driver of PostgreSQL is not loaded, it raised nothing. Errors
    named besides come first."""
    driver = sys.modules.get("psycopg")
    return (*also, OSError, sqlite3.Error, PersistenceError, *([driver.Error] if driver else []))


def make_private_file(path: Path) -> None:
    """Create an empty file that its owner alone may read, unless it exists. SQLite gives the files
    it makes beside a database the database's own permissions."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def is_postgres_url(location: str) -> bool:
    """Whether a database location is a PostgreSQL URL (anything else is a file path)."""
    return location.startswith(("postgresql://", "postgres://"))


def check_reachable(location: str) -> None:
    """Raise ConfigurationError when a PostgreSQL server lets nobody in now: it does not answer, or
    is starting or ending. What a server that answers holds is not looked at."""
    if not is_postgres_url(location):
        return
    from psycopg.pq import PGconn, Ping

    if PGconn.ping(location.encode()) != Ping.OK:
        raise ConfigurationError(
            "A PostgreSQL server that the ledger is on does not accept connections. Start it, or "
            "put the URL in ledger.toml right, and try again."
        )


class Cursor(Protocol):
    """What a transaction offers: SQL with `?` placeholders on either database."""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None: ...

    def executemany(self, sql: str, params: Sequence[Sequence[Any]]) -> None: ...

    def fetchone(self) -> tuple[Any, ...] | None: ...

    def fetchall(self) -> list[tuple[Any, ...]]: ...


class Database(Protocol):
    """A transactional SQL database."""

    dialect: str
    blob: str

    def vacuum(self, table: str) -> None:
        """Free the place of deleted rows, where that is not done as they are deleted."""

    def transaction(self) -> Any:
        """Context manager yielding a Cursor; commits at the end, rolls back on an exception."""

    def close(self) -> None: ...


class _SqliteCursor:
    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        self._cursor.execute(sql, params)

    def executemany(self, sql: str, params: Sequence[Sequence[Any]]) -> None:
        self._cursor.executemany(sql, params)

    def fetchone(self) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._cursor.fetchone()
        return row

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._cursor.fetchall()


class SqliteDatabase:
    """One file, one connection, one transaction at a time in this process."""

    dialect = "sqlite"
    blob = "BLOB"

    def __init__(self, path: Path) -> None:
        make_private_file(path)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000
        )
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            self._connection.execute(f"PRAGMA {pragma}")

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        with self._lock:
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteCursor(cursor)
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            else:
                cursor.execute("COMMIT")
            finally:
                cursor.close()

    def vacuum(self, table: str) -> None:
        """Nothing is to be done: what is deleted is overwritten (secure_delete)."""

    def truncate_log(self) -> bool:
        """Empty the write-ahead log, which otherwise still holds what was deleted. False when a
        reader is in the way: try again."""
        with self._lock:
            row = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not row[0]

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def open_database(location: str | Path) -> "SqliteDatabase | PostgresDatabase":
    """Open the database at a path or `postgresql://` URL; raises the driver's error if it cannot
    be reached."""
    text = str(location)
    if is_postgres_url(text):
        # Its driver takes as long to load as all the rest of the writer.
        from ledger.postgresql import PostgresDatabase

        return PostgresDatabase(text)
    return SqliteDatabase(Path(text))
