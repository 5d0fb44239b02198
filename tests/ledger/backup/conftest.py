"""Ledgers with their backups for all tests here, on each database."""

import pytest

from tests.ledger.backup.expiring_world import ExpiringWorld, make_expiring_world
from tests.ledger.backup.world import World, make_world


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    make = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    return make_world(tmp_path_factory.mktemp("backups"), make)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def expiring(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ExpiringWorld:
    make = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    return make_expiring_world(tmp_path_factory.mktemp("expiring"), make)
