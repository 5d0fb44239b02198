"""fsck against somebody who changes what the databases are, and not what is in them."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from ledger.config import DataDirectory
from ledger.errors import IntegrityAlarm
from ledger.fsck import check
from ledger.store import open_store
from ledger_verifier.audit.report.model import Verdict
from tests.conftest import MakeDatabase
from tests.ledger.copies import Filled, copied, fill

STREAM_INDEX = "sqlite_autoindex_entries_1"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return fill(tmp_path_factory.mktemp("filled") / "data")


@pytest.fixture
def directory(filled: Filled, tmp_path: Path) -> DataDirectory:
    return copied(filled, tmp_path / "copy")


@pytest.fixture(scope="module")
def on_postgres(postgres: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    folder = tmp_path_factory.mktemp("filled-postgres")
    return fill(folder / "data", postgres(), postgres())


def change(path: str, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def reasons(directory: DataDirectory) -> str:
    report = check(directory)
    assert report.verdict is Verdict.FAILED
    return "\n".join(failure.reason for failure in report.failures)


KEEPS = (
    "CREATE TABLE shadow AS SELECT * FROM {table} WHERE false",
    "CREATE TRIGGER keep BEFORE DELETE ON {table}"
    " BEGIN INSERT INTO shadow SELECT * FROM {table}; END",
)
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
EVENTS: Callable[[DataDirectory], str] = lambda directory: directory.database  # noqa: E731
KEYS: Callable[[DataDirectory], str] = lambda directory: directory.key_database  # noqa: E731


@pytest.mark.parametrize(
    ("place", "statements", "words"),
    [
        (EVENTS, [one.format(table="sealed") for one in KEEPS], "event store has a trigger"),
        (KEYS, [one.format(table="stream_keys") for one in KEEPS], "key store has a trigger"),
        (EVENTS, ["CREATE TABLE copy AS SELECT * FROM sealed"], "event store has a table"),
        (
            EVENTS,
            ["DROP TABLE publications", f"CREATE VIEW publications AS {ENDLESS}"],
            "event store has a view",
        ),
        (
            KEYS,
            ["DROP TABLE vault_state", f"CREATE VIEW vault_state AS {ENDLESS}"],
            "key store has a view",
        ),
        (EVENTS, ["DROP TABLE duplicates"], "event store lacks the table duplicates"),
        (
            EVENTS,
            [
                "ALTER TABLE sealed RENAME TO was",
                "CREATE TABLE sealed AS SELECT * FROM was",
                "DROP TABLE was",
            ],
            "event store has a table that is not the ledger's, or not as it made it: sealed",
        ),
        (EVENTS, ['CREATE VIEW "no name, <b>Aaliyah</b>" AS SELECT 1'], "(a name that is no name)"),
    ],
)
def test_what_the_ledger_does_not_define(
    directory: DataDirectory,
    place: Callable[[DataDirectory], str],
    statements: list[str],
    words: str,
) -> None:
    change(place(directory), *statements)
    said = reasons(directory)
    assert words in said
    assert "Aaliyah" not in said


def without_index(path: str, table: str, indexes: list[str], statement: str) -> None:
    """Run a statement on a table while it has, as far as SQLite knows, no indexes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        marks = ",".join("?" * len(indexes))
        kept = connection.execute(
            "SELECT rowid, type, name, tbl_name, rootpage, sql FROM sqlite_master"
            f" WHERE name IN ({marks}) OR name = ?",
            (*indexes, table),
        ).fetchall()
        (definition,) = (row[5] for row in kept if row[2] == table)
        bare = definition.split(", UNIQUE")[0].split(", PRIMARY KEY")[0]
        bare = bare.replace(" PRIMARY KEY", "") + ("" if bare == definition else ")")
        bare = bare.replace("rowid INTEGER", "rowid INTEGER PRIMARY KEY")
        connection.execute(f"DELETE FROM sqlite_master WHERE name IN ({marks})", indexes)
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (bare, table))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (definition, table))
        for row in kept:
            if row[2] != table:
                connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row[1:])


def test_entries_that_an_index_hides_from_the_service(
    filled: Filled, directory: DataDirectory
) -> None:
    with closing(sqlite3.connect(directory.database, isolation_level=None)) as connection:
        (stream, version) = connection.execute(
            "SELECT originator_id, originator_version FROM entries WHERE rowid = ?",
            (filled.other_at + 1,),
        ).fetchone()
        # In the index the entry is of another stream; in the table it is what it was.
        connection.execute(
            "UPDATE entries SET originator_id = 'case/none' WHERE rowid = ?", (filled.other_at + 1,)
        )
    without_index(
        directory.database,
        "entries",
        [STREAM_INDEX],
        f"UPDATE entries SET originator_id = '{stream}', originator_version = {version}"
        f" WHERE rowid = {filled.other_at + 1}",
    )
    with closing(open_store(directory.database)) as store:
        with pytest.raises(IntegrityAlarm):
            store.stream(stream)
        assert store.entry(filled.other_at) is not None
    report = check(directory)
    assert report.verdict is Verdict.FAILED
    assert {failure.position for failure in report.failures} == {filled.other_at}
    assert "a table and its index" in report.failures[0].reason


def test_a_key_that_was_put_back_beside_the_index(filled: Filled, directory: DataDirectory) -> None:
    indexes = ["sqlite_autoindex_stream_keys_1", "sqlite_autoindex_stream_keys_2"]
    key_id, stream, key_class, wrapped = filled.key
    assert isinstance(wrapped, bytes)
    without_index(
        directory.key_database,
        "stream_keys",
        indexes,
        "INSERT INTO stream_keys VALUES"
        f" ('{key_id}', '{stream}', '{key_class}', x'{wrapped.hex()}')",
    )
    assert "the key store is not whole" in reasons(directory)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN OLD; END $$;"
            "CREATE TRIGGER keep BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION keep()",
            "trigger that is not the ledger's: keep",
        ),
        ("CREATE RULE keep AS ON DELETE TO {table} DO INSTEAD NOTHING", "a rule"),
        ("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", "a table with row security"),
        ("CREATE TABLE more () INHERITS ({table})", "a table that inherits"),
        ("CREATE VIEW seen AS SELECT * FROM {table}", "a view"),
    ],
)
@pytest.mark.parametrize("table", ["sealed", "stream_keys"])
def test_what_the_ledger_does_not_define_on_postgresql(
    on_postgres: Filled, tmp_path: Path, statement: str, words: str, table: str
) -> None:
    directory = copied(on_postgres, tmp_path / "copy")
    place = directory.database if table == "sealed" else directory.key_database
    store = "the event store" if table == "sealed" else "the key store"
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute(statement.format(table=table).encode())
    said = reasons(directory)
    assert words in said
    assert store in said


def test_what_is_not_looked_at_on_postgresql_is_said(on_postgres: Filled) -> None:
    report = check(on_postgres.directory)
    assert report.verdict is Verdict.VERIFIED
    assert any("amcheck" in line for line in report.not_assessed)


def test_a_damaged_cell_accuses_no_publication(directory: DataDirectory) -> None:
    change(directory.database, "UPDATE cells SET hash = zeroblob(32) WHERE level = 0 AND idx = 3")
    report = check(directory)
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].tile is not None
    assert not any("publication" in failure.reason for failure in report.failures)
    assert any("publications" in line for line in report.not_assessed)
