"""`fsck` of a ledger that is damaged: always a report with a reason, never a traceback.

Whatever is in the files, the verdict is FAILED, the store at fault is named, and `--json` prints
exactly one object. Exit code 2 is kept for what was asked wrongly.
"""

import asyncio
import dataclasses
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from click.testing import CliRunner, Result

from ledger.application import Ledger
from ledger.cli import cli
from ledger.errors import ConfigurationError
from ledger.fsck import check
from ledger.fsck.shape import _TABLES
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.entry import canonical
from tests.conftest import MakeDatabase
from tests.ledger.acts import identified
from tests.ledger.copies import ANY, Filled, copied, fill, in_store


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return fill(tmp_path_factory.mktemp("damage") / "data")


@pytest.fixture
def data(filled: Filled, tmp_path: Path) -> Path:
    return copied(filled, tmp_path / "data").path


def fsck(data: Path, *more: str) -> Result:
    return CliRunner().invoke(cli, ["fsck", "--data", str(data), "--json", *more])


def assert_failed(data: Path, words: str, position: int | None = None) -> None:
    done = fsck(data)
    assert done.exit_code == 1, (done, done.exception)
    report = json.loads(done.stdout)
    assert report["verdict"] == "FAILED"
    found = [failure for failure in report["failures"] if re.search(words, failure["reason"])]
    assert found, report["failures"]
    if position is not None:
        assert position in [failure["position"] for failure in found], report["failures"]


def truncate(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\x9c garbage" * 5000),
    "truncated": truncate,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    ("name", "store"),
    [("ledger.sqlite", "the event store"), ("keys/keys.sqlite", "the key store")],
)
def test_a_damaged_file(data: Path, name: str, store: str, damage: str) -> None:
    DAMAGE[damage](data / name)
    assert_failed(data, store)
    assert (data / name).exists() is (damage != "missing")


def test_a_directory_where_the_key_store_was(data: Path) -> None:
    (data / "keys" / "keys.sqlite").unlink()
    (data / "keys" / "keys.sqlite").mkdir()
    assert_failed(data, "the key store")


def test_the_log_is_verified_without_the_key_store(filled: Filled, data: Path) -> None:
    (data / "keys" / "keys.sqlite").unlink()
    report = json.loads(fsck(data).stdout)
    assert report["checked"]["entries"] == filled.size
    assert report["failure_count"] == 1


TABLES = [
    "entries",
    "head",
    "stream_heads",
    "cells",
    "duplicates",
    "sealed",
    "destroyed_keys",
    "publications",
]


#: Which a ledger of which nothing has expired or is lost has empty.
OTHER_TABLES = ["lost", "expiry_state", "expired", "restored_expiries", "tombstones"]


def run(data: Path, *statements: str, name: str = "ledger.sqlite") -> None:
    with closing(sqlite3.connect(data / name)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("table", TABLES)
def test_a_table_dropped(data: Path, table: str) -> None:
    run(data, f"DROP TABLE {table}")
    assert_failed(data, f"the event store.*{table}")


@pytest.mark.parametrize("table", TABLES)
def test_a_table_emptied(data: Path, table: str) -> None:
    run(data, f"DELETE FROM {table}")
    assert_failed(data, "")


BLOBS = [
    ("entries", "state"),
    ("head", "root"),
    ("head", "edge"),
    ("head", "checkpoint"),
    ("stream_heads", "link"),
    ("stream_heads", "subject_key"),
    ("stream_heads", "attribution_key"),
    ("cells", "hash"),
    ("duplicates", "id"),
    ("sealed", "key_id"),
    ("sealed", "ciphertext"),
    ("destroyed_keys", "key_id"),
    ("publications", "checkpoint"),
]


@pytest.mark.parametrize(("table", "column"), BLOBS)
def test_text_where_bytes_belong(data: Path, table: str, column: str) -> None:
    # replace() gives text whatever it is given.
    run(data, f"UPDATE {table} SET {column} = replace({column}, x'00', x'00')")
    assert_failed(data, rf"{table}\.{column} does not hold what belongs there")


@pytest.mark.parametrize(("table", "column"), BLOBS)
def test_bytes_too_few(data: Path, table: str, column: str) -> None:
    run(data, f"UPDATE OR IGNORE {table} SET {column} = substr({column}, 1, 5)")
    assert_failed(data, "")


#: Every column that is stored, so that none is forgotten when one is added.
COLUMNS = [(table, column) for table, (_, columns) in _TABLES.items() for column in columns]


def test_every_stored_column_is_looked_at(data: Path) -> None:
    with closing(sqlite3.connect(data / "ledger.sqlite")) as connection:
        found = {
            (table, row[1])
            for table in (*TABLES, *OTHER_TABLES)
            for row in connection.execute(f"PRAGMA table_info({table})")
        }
    assert found - {("entries", "rowid")} == set(COLUMNS)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
@pytest.mark.parametrize("value", ["NULL", "'words'", "-1", "1.5", "x'ff'"])
def test_a_value_of_any_kind(data: Path, table: str, column: str, value: str) -> None:
    # The table made again without what its columns demand.
    rowid = "rowid, " if table == "entries" else ""
    run(
        data,
        f"CREATE TABLE other AS SELECT {rowid}* FROM {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE other RENAME TO {table}",
        f"UPDATE {table} SET {column} = {value}",
    )
    assert_failed(data, "")


KEY_VALUES = [
    ("stream_keys", "key_id"),
    ("stream_keys", "stream"),
    ("stream_keys", "key_class"),
    ("stream_keys", "wrapped"),
    ("vault_state", "applied_through"),
    ("wrapping_keys", "ref"),
    ("wrapping_keys", "keeper"),
]


@pytest.mark.parametrize(("table", "column"), KEY_VALUES)
@pytest.mark.parametrize("value", ["NULL", "'words'", "-1", "x'ff'"])
def test_a_value_of_any_kind_in_the_key_store(
    data: Path, table: str, column: str, value: str
) -> None:
    run(
        data,
        f"CREATE TABLE other AS SELECT * FROM {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE other RENAME TO {table}",
        f"UPDATE {table} SET {column} = {value}",
        name="keys/keys.sqlite",
    )
    assert_failed(data, "key")


def edited(data: Path, position: int, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change one entry, and leave it canonical."""
    with closing(sqlite3.connect(data / "ledger.sqlite")) as connection:
        (raw,) = connection.execute(
            "SELECT state FROM entries WHERE rowid = ?", (position + 1,)
        ).fetchone()
        entry = orjson.loads(raw)
        edit(entry["data"])
        connection.execute(
            "UPDATE entries SET state = ? WHERE rowid = ?", (canonical(entry), position + 1)
        )
        connection.commit()


@pytest.mark.parametrize("member", ["recipient", "type", "schema", "sealed", "open", "streams"])
@pytest.mark.parametrize("value", [None, 7, "gone"])
def test_a_registration_that_lacks_a_member(data: Path, member: str, value: object) -> None:
    def edit(values: dict[str, Any]) -> None:
        if value == "gone":
            del values[member]
        else:
            values[member] = value

    edited(data, 5, edit)
    assert_failed(data, "", 5)


@pytest.mark.parametrize("member", ["key_ids", "through"])
@pytest.mark.parametrize("value", [None, ["x"], "gone"])
def test_an_erasure_that_lacks_a_member(
    filled: Filled, data: Path, member: str, value: object
) -> None:
    def edit(values: dict[str, Any]) -> None:
        if value == "gone":
            del values[member]
        else:
            values[member] = value

    edited(data, filled.erasure, edit)
    assert_failed(data, "data", filled.erasure)


@pytest.mark.parametrize("value", [None, [], "gone", [7]])
def test_an_opening_that_names_no_keys(data: Path, value: object) -> None:
    def edit(values: dict[str, Any]) -> None:
        if value == "gone":
            del values["keys"]
        else:
            values["keys"] = value

    edited(data, 0, edit)
    assert_failed(data, "data", 0)


def test_an_unreadable_page_of_entries_is_located(tmp_path: Path) -> None:
    filled = fill(tmp_path / "whole")
    data = filled.directory.path
    run(data, "PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM")
    raw = bytearray((data / "ledger.sqlite").read_bytes())
    # The page that the middle of an entry's bytes is in: its number of cells is nonsense then.
    with closing(sqlite3.connect(data / "ledger.sqlite")) as connection:
        (state,) = connection.execute(
            "SELECT state FROM entries WHERE rowid = ?", (filled.other_at + 1,)
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    start = raw.index(state[:40]) // size * size
    raw[start : start + 8] = b"\xff" * 8
    (data / "ledger.sqlite").write_bytes(raw)
    done = json.loads(fsck(data).stdout)
    assert done["verdict"] == "FAILED"
    (failure,) = done["failures"]
    assert "the event store" in failure["reason"]
    assert 0 <= failure["position"] <= filled.other_at


def test_text_that_is_not_unicode(data: Path) -> None:
    run(data, "UPDATE entries SET topic = CAST(x'ff63' AS TEXT) WHERE rowid = 3")
    assert_failed(data, "the event store", 2)


@pytest.mark.parametrize("lost", ["entries", "publications", "sealed"])
def test_a_table_lost_on_postgresql(postgres: MakeDatabase, tmp_path: Path, lost: str) -> None:
    filled = fill(tmp_path / "data", postgres(), postgres())
    in_store(filled.directory, f"DROP TABLE {lost}")
    report = check(filled.directory)
    assert report.verdict is Verdict.FAILED
    assert re.search(f"the event store.*{lost}", report.failures[0].reason)


def test_columns_of_another_type_on_postgresql(postgres: MakeDatabase, tmp_path: Path) -> None:
    filled = fill(tmp_path / "data", postgres(), postgres())
    in_store(filled.directory, "ALTER TABLE entries ALTER COLUMN state TYPE text")
    report = check(filled.directory)
    assert report.verdict is Verdict.FAILED
    assert "the event store" in report.failures[0].reason


def test_a_key_store_that_is_gone_on_postgresql(postgres: MakeDatabase, tmp_path: Path) -> None:
    filled = fill(tmp_path / "data", postgres(), postgres())
    location = filled.directory.key_database
    name = str(psycopg.conninfo.conninfo_to_dict(location)["dbname"])
    server = location.replace(f"/{name}?", "/postgres?")
    with closing(psycopg.connect(server, autocommit=True)) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
    report = check(filled.directory)
    assert report.verdict is Verdict.FAILED
    assert [failure.reason for failure in report.failures] == [
        "the key store cannot be opened: OperationalError"
    ]


def test_a_server_that_is_stopped_is_not_a_ledger_that_failed(tmp_path: Path) -> None:
    filled = fill(tmp_path / "data")
    nowhere = f"postgresql://postgres@/t?host={tmp_path}"
    for stopped in (
        dataclasses.replace(filled.directory, database=nowhere),
        dataclasses.replace(filled.directory, key_database=nowhere),
    ):
        with pytest.raises(ConfigurationError, match="does not accept connections"):
            check(stopped)


def test_a_store_behind_the_guard_has_failed(filled: Filled, data: Path) -> None:
    """An older copy of the store, put back."""
    young = data / "ledger.sqlite"
    older = shutil.copy(young, data / "older")

    async def record() -> None:
        async with Ledger.open(data) as ledger:
            await ledger.record(ANY, [identified()])

    asyncio.run(record())
    for path in data.glob("ledger.sqlite*"):
        path.unlink()
    shutil.move(older, young)
    assert_failed(data, "tail is cut off", filled.size)


def remove(path: Path) -> None:
    path.unlink()


WRONG: dict[str, Callable[[Path], object]] = {
    "no directory": lambda data: shutil.rmtree(data),
    "no configuration": lambda data: remove(data / "ledger.toml"),
    "no policy": lambda data: remove(data / "policy"),
    "a policy that is none": lambda data: (data / "policy").write_text("nonsense\n"),
    "no wrapping key": lambda data: remove(data / "keys" / "wrapping.key"),
    "half a wrapping key": lambda data: (data / "keys" / "wrapping.key").write_text("00" * 16),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_has_an_exit_code_of_its_own(data: Path, name: str) -> None:
    WRONG[name](data)
    done = fsck(data)
    assert done.exit_code == 2, done
    assert done.stdout == ""
    assert "Error: " in done.stderr


def test_a_policy_that_is_not_there_and_a_page_that_is(data: Path, tmp_path: Path) -> None:
    assert fsck(data, "--policy", str(tmp_path / "none")).exit_code == 2
    assert fsck(data, "--html", str(data / "policy")).exit_code == 2
