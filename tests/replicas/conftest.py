"""Ledgers on PostgreSQL, log and key store, as replicas share them."""

from pathlib import Path

import pytest

from ledger.config import DataDirectory
from ledger.initialise import initialise, join
from tests.conftest import MakeDatabase


@pytest.fixture
def first(tmp_path: Path, postgres: MakeDatabase) -> DataDirectory:
    """The data directory that the ledger was created with."""
    return initialise(
        tmp_path / "first", database=postgres(), key_database=postgres(), publish_seconds=0.1
    )


@pytest.fixture
def second(first: DataDirectory, tmp_path: Path) -> DataDirectory:
    """A replica that joined it."""
    return join(tmp_path / "second", first.path)
