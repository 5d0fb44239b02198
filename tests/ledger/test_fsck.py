"""`fsck` finds whatever is changed in the database, and says where.

Each case is one statement run on a ledger that was whole: it must be FAILED, exit code 1, and the
first bad entry, tile or table named.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from ledger.access import Role
from ledger.application import Ledger
from ledger.catalogue import CATALOGUE
from ledger.config import DataDirectory
from ledger.fsck import check
from ledger.initialise import initialise
from ledger.store import open_store
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.formats.checkpoint import Ed25519Cosigner
from ledger_verifier.formats.entry import StreamRef
from tests.conftest import MakeDatabase
from tests.ledger.acts import act, credential, identified

ANY = credential()
DPO = credential(Role.DPO)
ENTRIES = 300
#: What `initialise` records: the opening, and every registration.
INITIAL = 1 + len(CATALOGUE.registrations())
#: Where the erasure is: after four entries of its stream, and what was frozen before it.
ERASURE = INITIAL + 5
HUB_LEDGER = str(Path(sys.executable).with_name("hub-ledger"))


async def fill(directory: DataDirectory) -> None:
    """A log of more than one tile, with cases, shares, a recipient, and an erasure."""
    async with Ledger.open(directory.path) as ledger:
        stream = StreamRef("case", str(uuid4()))
        await ledger.record(ANY, [identified(stream), act("data.disclosed", stream)])
        await ledger.record(
            ANY, [act("disclosure.acknowledged", stream), act("case.closed", stream)]
        )
        await ledger.record(DPO, [act("erasure.executed", stream)])
        await ledger.erasures_verified()
        await ledger.record(ANY, [identified() for _ in range(ENTRIES - INITIAL - 7)])
        await ledger.checkpoint()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> DataDirectory:
    directory = initialise(tmp_path_factory.mktemp("fsck") / "data", publish_seconds=0.05)
    asyncio.run(fill(directory))
    return directory


@pytest.fixture(scope="module")
def filled_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres: MakeDatabase
) -> DataDirectory:
    path = tmp_path_factory.mktemp("fsck-pg") / "data"
    directory = initialise(path, database=postgres(), publish_seconds=0.05)
    asyncio.run(fill(directory))
    return directory


@dataclass(frozen=True)
class Tampering:
    name: str
    sql: str
    found: str
    position: int | None = None


#: `{p}` stands for the position column, which the two databases have under different names.
CASES = [
    Tampering(
        "one byte of an entry",
        "UPDATE entries SET state = {flip} WHERE {p} = 100",
        "entry|canonical|leaf|bytes",
        100,
    ),
    Tampering("an entry removed", "DELETE FROM entries WHERE {p} = 290", "missing|absent", 290),
    Tampering(
        "two entries swapped",
        "UPDATE entries SET state = CASE {p} WHEN 40 THEN (SELECT state FROM entries WHERE {p} ="
        " 41) ELSE (SELECT state FROM entries WHERE {p} = 40) END WHERE {p} IN (40, 41)",
        "leaf|entry",
        40,
    ),
    Tampering(
        "one byte of a leaf cell",
        "UPDATE cells SET hash = {flip_hash} WHERE level = 0 AND idx = 77",
        r"tile/0/000",
    ),
    Tampering(
        "one byte of an upper cell",
        "UPDATE cells SET hash = {flip_hash} WHERE level = 1 AND idx = 0",
        r"tile/1/000",
    ),
    Tampering("a cell removed", "DELETE FROM cells WHERE level = 0 AND idx = 299", "missing"),
    Tampering(
        "a cell too many",
        "INSERT INTO cells SELECT 5, 0, hash FROM cells WHERE level = 0 AND idx = 0",
        "cells of the tree",
    ),
    Tampering(
        "the head's checkpoint", "UPDATE head SET checkpoint = {flip_checkpoint}", "checkpoint|note"
    ),
    Tampering(
        "a published checkpoint",
        "UPDATE publications SET checkpoint = {flip_checkpoint} WHERE seq = 1",
        "publication 1",
    ),
    Tampering("a publication removed", "DELETE FROM publications WHERE seq = 1", "gap|missing"),
    Tampering(
        "a publication before the first",
        "INSERT INTO publications SELECT 0, size, checkpoint, published_at FROM publications"
        " WHERE seq = 1",
        "publication 0: ",
    ),
    Tampering("the head's edge", "UPDATE head SET edge = root", "edge"),
    Tampering(
        "a stream's stored head",
        "UPDATE stream_heads SET version = version + 1 WHERE stream ="
        " (SELECT originator_id FROM entries WHERE {p} = 120)",
        "stored head",
        120,
    ),
    Tampering(
        "a stream handed to another hub",
        "UPDATE stream_heads SET hub = 'E09000001' WHERE stream ="
        " (SELECT originator_id FROM entries WHERE {p} = 120)",
        "another hub",
        120,
    ),
    Tampering(
        "a stream handed to another organisation",
        "UPDATE stream_heads SET organisation = 'another-council' WHERE stream ="
        " (SELECT originator_id FROM entries WHERE {p} = 120)",
        "another hub or organisation",
        120,
    ),
    Tampering(
        "a stream's key forgotten",
        "UPDATE stream_heads SET subject_key = NULL WHERE stream ="
        " (SELECT originator_id FROM entries WHERE {p} = 120)",
        "names other keys",
        120,
    ),
    Tampering(
        "a stream given another's key",
        "UPDATE stream_heads SET subject_key = (SELECT key_id FROM sealed WHERE position = 61"
        " AND key_class = 'subject') WHERE stream = (SELECT originator_id FROM entries"
        " WHERE {p} = 120)",
        "names other keys",
        120,
    ),
    Tampering(
        "a byte of a stream's key changed",
        "UPDATE stream_heads SET attribution_key = {flip_key} WHERE stream ="
        f" (SELECT originator_id FROM entries WHERE {{p}} = {INITIAL})",
        "names other keys",
        ERASURE + 1,
    ),
    Tampering(
        "the destroyed key in its stream's head again",
        "UPDATE stream_heads SET subject_key = (SELECT key_id FROM destroyed_keys) WHERE stream ="
        " (SELECT stream FROM destroyed_keys)",
        "names other keys",
        ERASURE + 1,
    ),
    Tampering(
        "a row sealed under another stream's key",
        "UPDATE sealed SET key_id = (SELECT key_id FROM sealed WHERE position = 81 AND key_class ="
        " 'subject') WHERE position = 80 AND key_class = 'subject'",
        "kept for another stream or class",
        80,
    ),
    Tampering(
        "a sealed row before the log",
        "INSERT INTO sealed (position, key_class, key_id, ciphertext) SELECT -1, key_class, key_id,"
        " ciphertext FROM sealed WHERE position = 80",
        "belongs to no entry",
        -1,
    ),
    Tampering(
        "a sealed row beyond the log",
        "INSERT INTO sealed (position, key_class, key_id, ciphertext) SELECT 300, key_class,"
        " key_id, ciphertext FROM sealed WHERE position = 80",
        "belongs to no entry",
        300,
    ),
    Tampering(
        "an erased row in its place again",
        f"INSERT INTO sealed (position, key_class, key_id, ciphertext) SELECT {INITIAL}, key_class,"
        " key_id, ciphertext FROM sealed WHERE position = 80",
        "an erasure covers",
        INITIAL,
    ),
    Tampering(
        "the head's time",
        "UPDATE head SET recorded_at = '2020-01-01T00:00:00.000Z'",
        "head row's time",
    ),
    Tampering(
        "a publication at no time",
        "UPDATE publications SET published_at = substr(published_at, 1, 19) WHERE seq = 1",
        "publication 1: .*not a time",
    ),
    Tampering(
        "the newest publications removed, the log having gone on",
        "DELETE FROM publications WHERE seq > 1;"
        "UPDATE head SET recorded_at = '2099-01-01T00:00:00.000Z'",
        "later publications are missing",
        INITIAL,
    ),
    Tampering(
        "a recipient's id led elsewhere",
        f"UPDATE duplicates SET source = 'another-one' WHERE position = {INITIAL + 2}",
        "retry",
        INITIAL + 2,
    ),
    Tampering(
        "a destroyed key of another stream",
        "UPDATE destroyed_keys SET stream = 'case/another'",
        "destroyed keys",
        ERASURE,
    ),
    Tampering("an id forgotten", "DELETE FROM duplicates WHERE position = 50", "retry", 50),
    Tampering(
        "the type beside an entry",
        "UPDATE entries SET topic = 'case.closed' WHERE {p} = 130",
        "columns beside",
        130,
    ),
    Tampering(
        "sealed fields removed",
        "DELETE FROM sealed WHERE position = 80 AND key_class = 'subject'",
        "no erasure explains",
        80,
    ),
    Tampering(
        "sealed fields moved",
        "UPDATE sealed SET ciphertext = (SELECT ciphertext FROM sealed WHERE position = 81"
        " AND key_class = 'subject') WHERE position = 80 AND key_class = 'subject'",
        "do not open",
        80,
    ),
    Tampering("a destroyed key forgotten", "DELETE FROM destroyed_keys", "destroyed keys"),
]


def tampered(directory: DataDirectory, case: Tampering) -> None:
    store = open_store(directory.database)

    def flip(column: str, place: int = 21) -> str:
        """SQL for a column with its 21st byte changed, or another."""
        if directory.embedded:
            return (
                f"CAST(substr({column}, 1, {place - 1}) || CASE substr({column}, {place}, 1)"
                f" WHEN x'61' THEN x'62' ELSE x'61' END || substr({column}, {place + 1}) AS BLOB)"
            )
        place -= 1
        return f"set_byte({column}, {place}, mod(get_byte({column}, {place}) + 1, 256))"

    sql = (
        case.sql.replace("{p}", f"({store.position_sql})")
        .replace("{flip}", flip("state"))
        .replace("{flip_hash}", flip("hash"))
        .replace("{flip_checkpoint}", flip("checkpoint"))
        .replace("{flip_key}", flip("attribution_key", 9))
    )
    with closing(store), store._write() as rows:
        for statement in sql.split(";"):
            rows.execute(statement)


def describe(report: Report) -> str:
    return " ; ".join(f"{f.tile or ''} {f.reason}" for f in report.failures)


def judge(report: Report, case: Tampering) -> None:
    assert report.verdict is Verdict.FAILED
    assert re.search(case.found, describe(report)), describe(report)
    if case.position is not None:
        assert case.position in [f.position for f in report.failures], report.failures


def test_a_whole_ledger_is_verified(filled: DataDirectory) -> None:
    report = check(filled)
    assert report.verdict is Verdict.VERIFIED, describe(report)
    assert report.checked["entries"] == ENTRIES
    assert report.checked["erased"] == 4


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sqlite(filled: DataDirectory, tmp_path: Path, case: Tampering) -> None:
    shutil.copytree(filled.path, tmp_path / "data")
    copy = DataDirectory(
        tmp_path / "data",
        filled.origin,
        str(tmp_path / "data" / "ledger.sqlite"),
        str(tmp_path / "data" / "keys" / "keys.sqlite"),
        filled.publish_seconds,
    )
    tampered(copy, case)
    judge(check(copy), case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_postgresql(filled_postgres: DataDirectory, case: Tampering) -> None:
    store = open_store(filled_postgres.database)
    tables = ["entries", "cells", "head", "publications", "stream_heads", "duplicates", "sealed"]
    tables.append("destroyed_keys")
    with store._write() as rows:
        for table in tables:
            rows.execute(f"CREATE TABLE kept_{table} AS TABLE {table}")
    try:
        tampered(filled_postgres, case)
        judge(check(filled_postgres), case)
    finally:
        with store._write() as rows:
            for table in tables:
                rows.execute(f"DELETE FROM {table}")
                rows.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")
                rows.execute(f"DROP TABLE kept_{table}")
        store.close()
    assert check(filled_postgres).verdict is Verdict.VERIFIED


def test_a_damaged_database_file_is_a_failure_and_no_traceback(
    filled: DataDirectory, tmp_path: Path
) -> None:
    shutil.copytree(filled.path, tmp_path / "data")
    database = tmp_path / "data" / "ledger.sqlite"
    raw = bytearray(database.read_bytes())
    raw[4096 : len(raw)] = bytes(len(raw) - 4096)
    database.write_bytes(raw)
    done = subprocess.run(
        [HUB_LEDGER, "fsck", "--data", str(tmp_path / "data"), "--json"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1, done
    assert json.loads(done.stdout)["verdict"] == "FAILED"
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(("witnesses", "code"), [(False, 0), (True, 3)])
def test_exit_codes_are_the_verifiers(
    filled: DataDirectory, tmp_path: Path, witnesses: bool, code: int
) -> None:
    policy = filled.policy().encode().decode()
    if witnesses:
        vkey = Ed25519Cosigner.generate("witness.example/one").key.vkey
        policy = policy.replace("quorum none", f"witness one {vkey}\nquorum one")
    path = tmp_path / "policy"
    path.write_text(policy)
    command = [HUB_LEDGER, "fsck", "--data", str(filled.path)]
    done = subprocess.run(
        [*command, "--policy", str(path), "--json"], capture_output=True, check=False
    )
    assert done.returncode == code, done
    assert json.loads(done.stdout)["tree_size"] == ENTRIES
