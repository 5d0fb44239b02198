"""Ledgers to break: one for each database and module, with event and key store on that database."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ledger.config import DataDirectory
from ledger.initialise import initialise
from ledger.submission import Recorded, Submission
from tests.conftest import MakeDatabase
from tests.faults.account import Acknowledged, assert_whole


@dataclass
class World:
    """A ledger, and everything that it has acknowledged."""

    directory: DataDirectory
    acknowledged: list[Acknowledged] = field(default_factory=list)

    def acknowledge(self, submissions: list[Submission], recorded: list[Recorded]) -> None:
        self.acknowledged += [
            Acknowledged(submission.id, result.position, result.receipt)
            for submission, result in zip(submissions, recorded, strict=True)
        ]

    def assert_whole(self) -> None:
        assert_whole(self.directory, self.acknowledged)


def make_world(request: pytest.FixtureRequest, path: Path) -> World:
    """A new ledger on the database that the fixture's parameter names."""
    database = key_database = None
    if request.param == "postgresql":
        make: MakeDatabase = request.getfixturevalue("postgres")
        database, key_database = make(), make()
    return World(
        initialise(path, database=database, key_database=key_database, publish_seconds=0.05)
    )


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A ledger that every test of a module breaks once more."""
    made = make_world(request, tmp_path_factory.mktemp("faults") / "data")
    with ExitStack() as stack:
        if made.directory.embedded:
            # While somebody has a database open, closing it does not tidy up its write-ahead log:
            # the next life finds what a crash would have left.
            for database in (made.directory.database, made.directory.key_database):
                onlooker = stack.enter_context(closing(sqlite3.connect(database)))
                onlooker.execute("SELECT COUNT(*) FROM sqlite_schema").fetchall()
        yield made
