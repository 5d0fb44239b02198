"""`hub-ledger scrub`: what was erased and what has expired is in no byte of any file.

What is searched is every byte of every file below the data directory, and on PostgreSQL below the
server's own too: tables, indexes, statistics and the write-ahead log. That it is found before is
part of each test. The server's own processes write to the disk at a CHECKPOINT, which is asked for.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from click.testing import CliRunner

from ledger.cli import cli
from ledger.config import DataDirectory
from ledger.expiring import Expirer
from ledger.initialise import initialise
from ledger.scrubbing import postgres as on_postgres
from ledger.scrubbing import scrub
from ledger_verifier.formats.entry import StreamRef
from tests.conftest import MakeDatabase
from tests.faults.life import Life, living
from tests.ledger.acts import act, identified
from tests.ledger.test_erasure_bytes import found, stored_of

LATER = datetime.now(UTC) + timedelta(days=4000)


@dataclass
class Scene:
    """A person who is erased and a case that expires, and what was stored of both."""

    directory: DataDirectory
    person: StreamRef = field(default_factory=lambda: StreamRef("case", str(uuid4())))
    case: StreamRef = field(default_factory=lambda: StreamRef("case", str(uuid4())))
    #: The wrapped keys and ciphertexts of the person; of the case also its entries and its name.
    secrets: list[bytes] = field(default_factory=list)

    def left(self) -> set[int]:
        """Indexes of the secrets that are in some file."""
        return found(self.directory, self.secrets)


async def record(scene: Scene, life: Life) -> None:
    await life.record(act("policy.adopted"))
    events = [identified(scene.person), act("data.disclosed", scene.person)]
    events += [identified(scene.case), act("case.closed", scene.case)]
    await life.record(*events)
    for _ in range(5):
        await life.record(identified())
    for first in (events[0], events[2]):
        keys, ciphertexts = stored_of(scene.directory, first)
        # The directory of a server is large: one stretch of them will do.
        scene.secrets += [*keys, ciphertexts[0]]
    scene.secrets.append(scene.case.id.encode())
    for stored in life.store.stream(scene.case.text):
        # What every entry of its kind has in common is no secret of this one.
        at = stored.raw.index(b'"nonce":"') + 9
        scene.secrets.append(stored.raw[at : at + 22])


async def remove(scene: Scene, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    await life.record(act("erasure.executed", scene.person))
    monkeypatch.setattr(Expirer, "now", lambda _: LATER)
    await life.record(act("expiry.ordered"))
    # As the service does after either.
    life.store.scrub(expired=True)
    life.keys.vacuum()


@contextmanager
def connected(url: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        yield connection


def analysed(directory: DataDirectory) -> None:
    """What autovacuum does sooner or later: the server notes the values of columns."""
    for url in (directory.database, directory.key_database):
        with connected(url) as connection:
            connection.execute("ANALYZE")


async def test_postgres(
    own_postgres: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = initialise(tmp_path / "data", database=own_postgres(), key_database=own_postgres())
    scene = Scene(directory)
    with living(directory) as life:
        await record(scene, life)
        analysed(directory)
        everything = set(range(len(scene.secrets)))
        assert scene.left() == everything
        await remove(scene, life, monkeypatch)
        # This is what docs/operations.md says stays until then.
        assert scene.left() == everything

        async def go_on() -> None:
            """The service records meanwhile."""
            for _ in range(40):
                await life.record(identified())

        scrubbed, _ = await asyncio.gather(asyncio.to_thread(scrub, directory, 3.0), go_on())
        assert (scrubbed.left, scrubbed.beyond) == ([], [])
        assert scene.left() == set()


async def test_sqlite(sqlite_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(sqlite_directory)
    with living(sqlite_directory) as life:
        await record(scene, life)
        await remove(scene, life, monkeypatch)
        scrubbed = scrub(sqlite_directory, 5.0)
        assert scrubbed.left == []
        assert scene.left() == set()
        await life.record(identified())
    done = CliRunner().invoke(cli, ["scrub", "--data", str(sqlite_directory.path)])
    assert done.exit_code == 0, done.output
    assert "ledger.sqlite: its write-ahead log is empty." in done.output
    assert "keys.sqlite: free pages hold nothing." in done.output


def test_what_somebody_else_deleted_is_found(sqlite_directory: DataDirectory) -> None:
    """With SQLite's own settings a deleted row stays in its page."""
    with closing(sqlite3.connect(sqlite_directory.key_database)) as other:
        other.execute("PRAGMA secure_delete=OFF")
        other.execute("CREATE TABLE notes (text TEXT)")
        other.execute("INSERT INTO notes VALUES (?)", ("x" * 100_000,))
        other.execute("DROP TABLE notes")
        other.commit()
    done = CliRunner().invoke(cli, ["scrub", "--data", str(sqlite_directory.path)])
    assert done.exit_code == 1
    assert "free pages still hold what was deleted" in done.output


def test_a_reader_in_the_way_is_named(
    sqlite_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.scrubbing.embedded.PATIENCE", 0.0)
    with closing(sqlite3.connect(sqlite_directory.key_database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM stream_keys").fetchone()
        with closing(sqlite3.connect(sqlite_directory.key_database)) as writer:
            writer.execute("UPDATE vault_state SET applied_through = 1")
            writer.commit()
        scrubbed = scrub(sqlite_directory, 5.0)
    assert [line for line in scrubbed.left if "something reads it" in line]


def test_a_table_that_is_in_use_is_named(
    postgres: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup reads it, say: nobody waits for long behind the rewrite."""
    directory = initialise(tmp_path / "data", database=postgres(), key_database=postgres())
    monkeypatch.setattr(on_postgres, "ATTEMPTS", 2)
    monkeypatch.setattr(on_postgres, "LOCK_SECONDS", 0.05)
    with connected(directory.database) as reader, reader.transaction():
        reader.execute("SELECT COUNT(*) FROM sealed")
        scrubbed = scrub(directory, 5.0)
    assert [line.partition(":")[0] for line in scrubbed.left] == ["sealed"]
    assert "stream_keys: rewritten" in scrubbed.done


def test_a_moment_that_is_still_read_is_named(
    postgres: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rewrite takes over deleted rows that a transaction from before might ask for."""
    directory = initialise(tmp_path / "data", database=postgres(), key_database=postgres())
    monkeypatch.setattr(on_postgres, "ATTEMPTS", 2)
    with connected(directory.key_database) as reader, reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1")
        with connected(directory.key_database) as other:
            other.execute("INSERT INTO stream_keys VALUES ('a', 'b', 'subject', 'c')")
            other.execute("DELETE FROM stream_keys")
        scrubbed = scrub(directory, 5.0)
        assert any("stream_keys: 1 deleted rows are kept" in line for line in scrubbed.left)
    assert scrub(directory, 5.0).left == []


def test_a_table_that_takes_too_long_is_named(postgres: MakeDatabase, tmp_path: Path) -> None:
    directory = initialise(tmp_path / "data", database=postgres(), key_database=postgres())
    scrubbed = scrub(directory, 0.001)
    assert any("sealed: takes longer than 0.001 seconds" in line for line in scrubbed.left)


def test_what_the_database_user_may_not_do_is_said(postgres: MakeDatabase, tmp_path: Path) -> None:
    urls: list[str] = []
    role = f"r{uuid4().hex}"
    for _ in range(2):
        url = postgres()
        name = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
        with connected(url) as connection:
            if not urls:
                connection.execute(f"CREATE ROLE {role} LOGIN".encode())
            connection.execute(f"ALTER DATABASE {name} OWNER TO {role}".encode())
        urls.append(url.replace("//postgres@", f"//{role}@"))
    directory = initialise(tmp_path / "data", database=urls[0], key_database=urls[1])
    scrubbed = scrub(directory, 5.0)
    assert {"sealed: rewritten", "stream_keys: rewritten"} <= set(scrubbed.done)
    (left,) = scrubbed.left
    assert "may not turn it over" in left
