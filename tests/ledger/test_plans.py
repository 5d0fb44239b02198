"""No statement of an append, a retry or an erasure reads a whole table: what they cost must not
grow with the log."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from ledger.config import DataDirectory
from ledger.initialise import initialise
from ledger.store import open_store
from ledger.store.base import AppendTransaction
from ledger.store.records import (
    ATTRIBUTION,
    SUBJECT,
    Append,
    DestroyedKey,
    RecordedEntry,
    SealedRow,
    StreamHead,
)
from ledger.store.rows import find_duplicates, select_head, select_sealed, select_stream_heads
from tests.conftest import MakeDatabase

STREAMS = [f"case/{uuid4()}" for _ in range(3)]
KEYS = [("council", str(uuid4())) for _ in range(3)]
KEY_IDS = [str(uuid4()) for _ in range(3)]
#: Tables of one row, or of one a stream of a handful.
SMALL = ("head", "wanted", "3 CONSTANT ROWS", "1 CONSTANT ROW")


class Explained:
    """Rows that have SQLite explain every statement before it is run."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self.scanned: list[str] = []
        self.asked = 0

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        self._explain(sql, params)
        self._cursor.execute(sql, params)

    def executemany(self, sql: str, params: Sequence[Sequence[Any]]) -> None:
        for row in params[:1]:
            self._explain(sql, row)
        self._cursor.executemany(sql, params)

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchall(self) -> Any:
        return self._cursor.fetchall()

    def _explain(self, sql: str, params: Sequence[Any]) -> None:
        self.asked += 1
        for *_, step in self._cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall():
            if step.startswith("SCAN") and step.removeprefix("SCAN ") not in SMALL:
                self.scanned.append(f"{step}: {sql}")


def test_sqlite_looks_up_and_never_scans(sqlite_directory: DataDirectory) -> None:
    store = open_store(sqlite_directory.database)
    with closing(sqlite3.connect(sqlite_directory.database)) as connection:
        rows = Explained(connection.cursor())
        head = select_head(rows)
        assert head is not None
        find_duplicates(rows, KEYS)
        select_stream_heads(rows, STREAMS)
        select_sealed(rows, [1, 2, 3])
        transaction = AppendTransaction(rows, head, store)
        transaction.subject_keys(STREAMS[0])
        transaction.last_stamp(head.size)
        transaction.destroyed(KEY_IDS)
        transaction.cells(0, 1, 3)
        transaction.write(
            Append(
                head=head,
                first_position=head.size,
                entries=[store.mapper.to_stored_event(RecordedEntry(STREAMS[0], 1, "t.e", b"{}"))],
                cells=[(0, head.size, bytes(32))],
                sealed=[SealedRow(head.size, ATTRIBUTION, KEY_IDS[1], b"att")],
                duplicates=[(*KEYS[0], head.size)],
                stream_heads={STREAMS[0]: StreamHead(1, b"link", "central", "x", None, None)},
                destroyed=[DestroyedKey(KEY_IDS[0], STREAMS[0], head.size)],
            )
        )
    store.close()
    assert rows.asked > 12
    assert rows.scanned == []


def test_the_explanation_would_show_a_scan(sqlite_directory: DataDirectory) -> None:
    with closing(sqlite3.connect(sqlite_directory.database)) as connection:
        rows = Explained(connection.cursor())
        rows.execute("SELECT position FROM sealed WHERE key_class = ?", (SUBJECT,))
    assert len(rows.scanned) == 1


def test_postgresql_finds_duplicates_by_their_index(
    postgres: MakeDatabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = postgres()
    initialise(tmp_path_factory.mktemp("plans") / "data", database=url)
    keys = [("council", str(UUID(int=number))) for number in range(200)]
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO duplicates (source, id, position) SELECT 'council',"
            " decode(lpad(to_hex(n), 32, '0'), 'hex'), n FROM generate_series(0, 29999) n"
        )
        plans: list[str] = []

        class Rows:
            def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
                asked = sql.replace("?", "%s").encode()
                cursor.execute(b"EXPLAIN " + asked, params)
                plans.append("\n".join(row[0] for row in cursor.fetchall()))
                cursor.execute(asked, params)

            def executemany(self, sql: str, params: Sequence[Sequence[Any]]) -> None:
                raise AssertionError("nothing is written here")

            def fetchone(self) -> Any:
                return cursor.fetchone()

            def fetchall(self) -> Any:
                return cursor.fetchall()

        found = find_duplicates(Rows(), keys)
    assert found == {key: number for number, key in enumerate(keys)}
    assert plans
    assert not any("Seq Scan" in plan for plan in plans), plans
