"""The side stores on PostgreSQL, and what else is asked of its driver.

Guarantees: as `ledger.database`, whose `open_database` imports this when it is given a URL, and
nothing else does before: a ledger on SQLite never loads the driver. A transaction whose process
stands still is ended by the server.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import psycopg
import psycopg_pool
from psycopg.rows import tuple_row

from ledger.database import Cursor

#: Seconds a PostgreSQL transaction may be open without a word.
IDLE_IN_TRANSACTION_SECONDS: Final = 15.0
#: Seconds a PostgreSQL transaction may go on once it sends rows.
SENDING_SECONDS: Final = 30.0


class _PostgresCursor:
    def __init__(self, cursor: "psycopg.Cursor[tuple[Any, ...]]") -> None:
        self._cursor = cursor

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        # The SQL is this package's own constant text, never a caller's.
        self._cursor.execute(sql.replace("?", "%s").encode(), params)

    def executemany(self, sql: str, params: Sequence[Sequence[Any]]) -> None:
        limit_transaction(self, SENDING_SECONDS)
        self._cursor.executemany(sql.replace("?", "%s").encode(), params)

    def copy_in(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Send rows by a COPY statement, however many there are."""
        with self._cursor.copy(statement.encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._cursor.fetchone()

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._cursor.fetchall()


def has_table(connection: "psycopg.Connection[Any]", table: str) -> bool:
    """Whether a database has a table of that name, as its connection looks for names."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (table,))
        return cursor.fetchone() == (True,)


class _Executes(Protocol):
    def execute(self, sql: str, params: Sequence[Any] = ()) -> Any: ...


def limit_transaction(rows: _Executes, seconds: float) -> None:
    """Have PostgreSQL end this transaction, whatever it is doing, that many seconds from now. Rows
    are sent without waiting for answers, and whoever stands still in the middle of that is not idle
    to the server: its locks would be held for good. Before version 17 nothing limits that."""
    rows.execute(
        "SELECT set_config('transaction_timeout', ?, true)"
        " WHERE current_setting('server_version_num')::int >= 170000",
        (f"{int(1000 * seconds)}ms",),
    )


def _let_go(connection: "psycopg.Connection[Any]") -> None:
    """Have the server end a transaction whose process stands still: others wait for its locks."""
    with connection.transaction():
        connection.execute(
            f"SET idle_in_transaction_session_timeout = {int(1000 * IDLE_IN_TRANSACTION_SECONDS)}"
        )


class PostgresDatabase:
    """A pool of connections to one PostgreSQL database."""

    dialect = "postgresql"
    blob = "BYTEA"

    def __init__(self, url: str, size: int = 4) -> None:
        self._pool = psycopg_pool.ConnectionPool(
            url,
            min_size=1,
            max_size=size,
            open=True,
            timeout=10.0,
            name="hub-ledger-side",
            configure=_let_go,
        )

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        with self._pool.connection() as connection, connection.cursor() as cursor:
            yield _PostgresCursor(cursor)

    def vacuum(self, table: str) -> None:
        """Free the place of deleted rows, so that what is written next may overwrite them."""
        with self._pool.connection() as connection:
            connection.autocommit = True
            try:
                connection.execute(f"VACUUM {table}".encode())
            finally:
                connection.autocommit = False

    def close(self) -> None:
        self._pool.close()
