"""Tables as lines of JSON: read from one moment of either database, and written to either.

Guarantees: a snapshot sees one moment of its database however long it is read, and holds nobody up
who writes (on SQLite the write-ahead log grows meanwhile). Only rows are copied: what was deleted,
in a free page or a dead row, is in no copy. What one database gave, the other takes.

A table is one part of an archive. Its first line is an object: the names of its columns, and of
those the ones that hold bytes, which are written in base64. Every other line is a row, an array.
"""

import base64
import itertools
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import orjson
import psycopg

from ledger.database import SqliteDatabase, is_postgres_url
from ledger.errors import IntegrityAlarm
from ledger.store.records import EVENTS_TABLE
from ledger.store.sqlite import SqliteStore
from ledger.vault.keystore import KeyStore
from ledger.vault.wrapper import LocalKeyWrapper

#: Rows put together into one piece of a part, or one statement.
_PIECE: Final = 2000
#: The key of an entry: its position plus one. The two databases call it by different names.
NUMBER: Final = "number"
_NUMBERS: Final = frozenset({"rowid", "notification_id"})

#: For each table, its columns.
Columns = Mapping[str, Sequence[str]]


class Snapshot(Protocol):
    """One moment of a database."""

    def columns(self, table: str) -> list[tuple[str, bool]]:
        """Names of a table's columns, and whether each holds bytes."""

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[Sequence[Any]]:
        """The rows of a table, in the order of its first column."""

    def one(self, sql: str) -> Any:
        """The first value of the first row of an answer, or None."""

    def close(self) -> None: ...


class SqliteSnapshot:
    """One moment of a SQLite file in WAL mode."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None
        )
        self._connection.execute("PRAGMA query_only=ON")
        self._connection.execute("BEGIN")
        # The moment is that of the first read.
        self._connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()

    def columns(self, table: str) -> list[tuple[str, bool]]:
        found = self._connection.execute(f"PRAGMA table_info({table})")
        return [(row[1], row[2] == "BLOB") for row in found]

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[Sequence[Any]]:
        names = ", ".join(columns)
        yield from self._connection.execute(f"SELECT {names} FROM {table} ORDER BY {columns[0]}")

    def one(self, sql: str) -> Any:
        row = self._connection.execute(sql).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        self._connection.close()


class PostgresSnapshot:
    """One moment of a PostgreSQL database: a read-only transaction, REPEATABLE READ."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True
        self._connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        self.one("SELECT 1")

    def columns(self, table: str) -> list[tuple[str, bool]]:
        found = self._connection.execute(
            "SELECT column_name::text, udt_name = 'bytea' FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = %s ORDER BY ordinal_position",
            (table,),
        )
        return [(row[0], row[1]) for row in found.fetchall()]

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[Sequence[Any]]:
        types = {
            row[0]: row[1]
            for row in self._connection.execute(
                "SELECT column_name::text, udt_name::text FROM information_schema.columns"
                " WHERE table_schema = current_schema() AND table_name = %s",
                (table,),
            ).fetchall()
        }
        names = ", ".join(columns)
        statement = f"COPY (SELECT {names} FROM {table} ORDER BY {columns[0]}) TO STDOUT"
        cursor = self._connection.cursor()
        with cursor, cursor.copy(f"{statement} (FORMAT BINARY)".encode()) as copy:
            copy.set_types([types[column] for column in columns])
            yield from copy.rows()

    def one(self, sql: str) -> Any:
        row = self._connection.execute(sql.encode()).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        self._connection.close()


def snapshot_of(location: str) -> Snapshot:
    """This moment of the database at a `postgresql://` URL or SQLite path; raises one of
    database_errors."""
    return (
        PostgresSnapshot(location) if is_postgres_url(location) else SqliteSnapshot(Path(location))
    )


@cache
def tables_of_stores() -> tuple[Columns, Columns]:
    """The tables of the event store, and of the key store, with their columns: read from stores
    made for the purpose, so that none is ever forgotten."""
    with tempfile.TemporaryDirectory(prefix="hub-ledger-backup-") as folder:
        events, keys = Path(folder) / "events", Path(folder) / "keys"
        with closing(SqliteStore(events)) as store:
            store.create()
        with closing(SqliteDatabase(keys)) as database:
            KeyStore(database, LocalKeyWrapper(bytes(32))).create()
        return _tables_in(events), _tables_in(keys)


def _tables_in(path: Path) -> Columns:
    with closing(SqliteSnapshot(path)) as snapshot:
        names = snapshot.rows("sqlite_master", ["name", "type"])
        tables = [name for name, kind in list(names) if kind == "table"]
        return {
            table: tuple(_shown(table, name) for name, _ in snapshot.columns(table))
            for table in tables
        }


def _shown(table: str, column: str) -> str:
    return NUMBER if table == EVENTS_TABLE and column in _NUMBERS else column


def dump(snapshot: Snapshot, table: str) -> Iterator[bytes]:
    """A table as lines of JSON, in pieces."""
    columns = snapshot.columns(table)
    if table == EVENTS_TABLE:
        # In the order of the log.
        columns.sort(key=lambda column: column[0] not in _NUMBERS)
    names = [name for name, _ in columns]
    blobs = [index for index, (_, is_blob) in enumerate(columns) if is_blob]
    shown = [_shown(table, name) for name in names]
    yield orjson.dumps({"columns": shown, "blobs": [shown[index] for index in blobs]}) + b"\n"
    rows = snapshot.rows(table, names)
    while group := list(itertools.islice(rows, _PIECE)):
        yield b"".join(orjson.dumps(_written(row, blobs)) + b"\n" for row in group)


def _written(row: Sequence[Any], blobs: Sequence[int]) -> list[Any]:
    written = list(row)
    for index in blobs:
        if written[index] is not None:
            written[index] = base64.b64encode(written[index]).decode()
    return written


class Inserts(Protocol):
    """A cursor, as far as is needed here."""

    def execute(self, sql: str, /) -> Any: ...

    def executemany(self, sql: str, params: Sequence[Sequence[Any]]) -> Any: ...


@runtime_checkable
class Copies(Protocol):
    """A cursor that takes rows by COPY."""

    def copy_in(self, statement: str, rows: Iterable[Sequence[Any]]) -> None: ...


def fill(
    rows: Inserts, table: str, lines: Iterator[bytes], known: Sequence[str], number: str = NUMBER
) -> None:
    """Put a dumped table in the place of what a new store has in its own. `known` are its columns;
    `number` is what this database calls the key of an entry. Raises IntegrityAlarm when the dump
    has columns that this version does not know."""
    header = orjson.loads(next(lines, b"null"))
    columns, blobs = (header or {}).get("columns", []), set((header or {}).get("blobs", []))
    names = [number if name == NUMBER else name for name in columns]
    if not columns or not set(columns) <= set(known):
        raise IntegrityAlarm(
            f"The backup's table {table} has columns that this version of hub-ledger does not "
            "know: restore it with the version that made it."
        )
    places = [index for index, name in enumerate(columns) if name in blobs]
    values = (_read(line, places) for line in lines)
    rows.execute(f"DELETE FROM {table}")
    if isinstance(rows, Copies):
        rows.copy_in(f"COPY {table} ({', '.join(names)}) FROM STDIN", values)
        return
    marks = ", ".join("?" * len(names))
    while group := list(itertools.islice(values, _PIECE)):
        rows.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", group)


def _read(line: bytes, blobs: Sequence[int]) -> list[Any]:
    row: list[Any] = orjson.loads(line)
    for index in blobs:
        if row[index] is not None:
            row[index] = base64.b64decode(row[index])
    return row
