"""The event store on PostgreSQL.

Guarantees: every append is one READ COMMITTED transaction that first locks the head row
(`FOR UPDATE`), so that replicas take turns and positions stay dense through rollbacks; nothing is
retried behind the caller's back, because after a lost COMMIT only the (source, id) table knows
the outcome. One publisher at a time holds a session advisory lock, and publishes in that session:
whoever lost the lock cannot publish. A replica that stands still (a paused machine, a lost
network) loses its transaction and its lock to the server's own timeouts, and with them the right
to go on where it was.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.rows import dict_row, tuple_row

from ledger.errors import ConfigurationError
from ledger.postgresql import has_table, limit_transaction
from ledger.store.base import AppendTransaction, Store, create_statements
from ledger.store.records import EVENTS_TABLE, StoredEntry
from ledger.store.rows import Rows, select_head

#: Key of the session advisory lock of the one publisher.
PUBLISHER_LOCK: Final = int.from_bytes(
    hashlib.sha256(b"hub-ledger/publisher").digest()[:8], "big", signed=True
)
#: Seconds a replica may hold the head lock without a word; the others wait for as long.
IDLE_IN_TRANSACTION_SECONDS: Final = 5.0
#: Seconds a replica may hold the head lock in all.
APPEND_SECONDS: Final = 20.0
#: Tables that an expiry deletes from.
OF_STREAMS: Final = ("sealed", EVENTS_TABLE, "duplicates", "stream_heads", "destroyed_keys")
#: Seconds the publisher may be silent before another replica takes over.
PUBLISHER_IDLE_SECONDS: Final = 15


def holds_log(connection: "psycopg.Connection[Any]") -> bool:
    """Whether a database has the tables of a log, be there anything in them or not."""
    return has_table(connection, "head")


class _Rows:
    """A psycopg cursor that takes `?` placeholders. All SQL is this package's own text."""

    def __init__(self, cursor: "psycopg.Cursor[Any]") -> None:
        self._cursor = cursor

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        self._cursor.execute(sql.replace("?", "%s").encode(), params)

    def executemany(self, sql: str, params: Sequence[Sequence[Any]]) -> None:
        if params:
            self._cursor.executemany(sql.replace("?", "%s").encode(), params)

    def copy_in(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Send rows by a COPY statement, much faster than by INSERT."""
        with self._cursor.copy(statement.encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchall(self) -> Any:
        return self._cursor.fetchall()


class EntryRecorder(PostgresApplicationRecorder):
    """The library's recorder with positions assigned by us: notification id = position + 1."""

    def insert_at(self, rows: Rows, first: int, events: Sequence[StoredEvent]) -> None:
        """Insert events at positions first, first + 1, ... inside an open transaction."""
        rows.executemany(
            f"INSERT INTO {self.events_table_name}"
            " (originator_id, originator_version, topic, state, notification_id)"
            " VALUES (?, ?, ?, ?, ?)",
            [
                (e.originator_id, e.originator_version, e.topic, e.state, first + i + 1)
                for i, e in enumerate(events)
            ],
        )
        rows.execute(f"NOTIFY {self.channel_name}")


class PostgresStore(Store):
    """A ledger in one PostgreSQL database, which several replicas may share."""

    position_sql = "notification_id - 1"

    def __init__(self, url: str) -> None:
        self._url = url
        params = psycopg.conninfo.conninfo_to_dict(url)
        self._datastore = PostgresDatastore(
            dbname=str(params.get("dbname", "")),
            host=str(params.get("host", "")),
            port=str(params.get("port", "")),
            user=str(params.get("user", "")),
            password=str(params.get("password", "")),
            pool_size=1,
            max_overflow=15,
            connect_timeout=30.0,
            idle_in_transaction_session_timeout=IDLE_IN_TRANSACTION_SECONDS,
            originator_id_type="text",
        )
        # The whole of the URL decides, TLS settings among it, not only the library's five parts.
        self._datastore.pool.conninfo = url
        self._datastore.pool.kwargs = {"row_factory": dict_row}
        self._recorder = EntryRecorder(self._datastore, events_table_name=EVENTS_TABLE)
        self._publisher: psycopg.Connection[Any] | None = None
        self._publishes = False

    def create(self) -> None:
        with self._datastore.transaction(commit=True) as cursor:
            if holds_log(cursor.connection):
                raise ConfigurationError("There is a ledger in this database already.")
        self._recorder.create_table()
        with self._write() as rows:
            for statement in create_statements("BYTEA", "BIGINT"):
                rows.execute(statement)

    @contextmanager
    def append(self) -> Iterator[AppendTransaction]:
        with self._write() as rows:
            head = select_head(rows, " FOR UPDATE")
            # Not before: it may have had to wait.
            limit_transaction(rows, APPEND_SECONDS)
            yield AppendTransaction(rows, head, self)

    @contextmanager
    def _write(self) -> Iterator[Rows]:
        with (
            self._datastore.get_connection() as connection,
            connection.transaction(),
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            yield _Rows(cursor)

    @contextmanager
    def read(self) -> Iterator[Rows]:
        with (
            self._datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            yield _Rows(cursor)

    @contextmanager
    def snapshot(self) -> Iterator[Rows]:
        with self._write() as rows:
            rows.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # Whoever reads a whole log thinks for longer than an append may.
            rows.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield rows

    @contextmanager
    def fill(self) -> Iterator[Rows]:
        with self._write() as rows:
            rows.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield rows

    def insert_entries(self, rows: Rows, first: int, events: Sequence[StoredEvent]) -> None:
        self._recorder.insert_at(rows, first, events)

    def entries(self, start: int, limit: int, types: Sequence[str] = ()) -> list[StoredEntry]:
        notifications = self._recorder.select_notifications(start + 1, limit, topics=list(types))
        return [
            StoredEntry(n.id - 1, str(n.originator_id), n.originator_version, n.topic, n.state)
            for n in notifications
        ]

    def try_publisher(self) -> bool:
        if self._publisher is not None:
            try:
                return self._lock_publisher(self._publisher)
            except psycopg.OperationalError:
                # The session is gone, and the lock with it.
                self._publisher.close()
        self._publisher, self._publishes = psycopg.connect(self._url, autocommit=True), False
        self._publisher.execute(
            f"SET idle_session_timeout = '{PUBLISHER_IDLE_SECONDS}s';"
            f"SET idle_in_transaction_session_timeout = '{PUBLISHER_IDLE_SECONDS}s'"
        )
        return self._lock_publisher(self._publisher)

    def _lock_publisher(self, session: "psycopg.Connection[Any]") -> bool:
        """Take the lock, or show the server that its holder is alive."""
        if self._publishes:
            session.execute("SELECT 1")
            return True
        row = session.execute("SELECT pg_try_advisory_lock(%s)", (PUBLISHER_LOCK,)).fetchone()
        self._publishes = row is not None and bool(row[0])
        return self._publishes

    @contextmanager
    def _publishing(self) -> Iterator[Rows]:
        if self._publisher is None:
            # Only `init` publishes without the lock, when nobody else knows of the database.
            with self._write() as rows:
                yield rows
            return
        if not self._publishes:
            raise psycopg.OperationalError("this replica is not the publisher")
        with self._publisher.transaction(), self._publisher.cursor() as cursor:
            yield _Rows(cursor)

    def now(self) -> float | None:
        with self.read() as rows:
            rows.execute("SELECT EXTRACT(EPOCH FROM clock_timestamp())::double precision")
            return float(rows.fetchone()[0])

    def scrub(self, *, expired: bool = False) -> bool:
        tables = OF_STREAMS if expired else ("sealed",)
        with self._datastore.get_connection() as connection:
            for table in tables:
                connection.execute(f"VACUUM {table}".encode())
        return True

    def close(self) -> None:
        if self._publisher is not None:
            self._publisher.close()
        self._datastore.close()
