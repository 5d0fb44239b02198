"""`fsck` believes a declared loss of what the log says is lost, and of nothing else."""

import asyncio
from contextlib import closing

import pytest

from ledger import config
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.fsck import check, check_rows
from ledger.store import open_store
from ledger_verifier.audit.report.model import Report, Verdict
from tests.ledger.backup.world import World


@pytest.fixture(scope="session")
def directory(world: World, tmp_path_factory: pytest.TempPathFactory) -> DataDirectory:
    """A ledger that has lost sealed fields and says so."""
    data = tmp_path_factory.mktemp("lost") / "data"
    world.restored(data, 1, 1)

    async def serve() -> None:
        async with Ledger.open(data):
            pass

    asyncio.run(serve())
    found = config.load(data)
    assert check(found).verdict is Verdict.VERIFIED
    return found


class Undo(Exception):
    """Ends a transaction without a trace."""


def check_with(directory: DataDirectory, statement: str) -> Report:
    """What `fsck` says once this has been done to the event store, which it then has not."""
    reports = []
    with (
        closing(open_store(directory.database)) as store,
        pytest.raises(Undo),
        store.fill() as rows,
    ):
        rows.execute(statement)
        policy = directory.policy()
        reports.append(check_rows(directory, rows, store.position_sql, policy, ""))
        raise Undo
    return reports[0]


LOST = "FROM lost WHERE key_class = 'subject'"
ALTERED = {
    "the table forgets it": (f"DELETE {LOST}", "table of losses is not what the log declares"),
    "the table says more is lost": (
        "UPDATE lost SET first = 0 WHERE key_class = 'subject'",
        "table of losses is not what the log declares",
    ),
    "a loss that no entry declares": (
        "INSERT INTO lost SELECT first, last, key_class, entries, backup_size, log_size, NULL"
        f" {LOST}",
        None,
    ),
    "what is lost is there again": (
        "INSERT INTO sealed SELECT last, 'subject', key_id, ciphertext FROM sealed, lost"
        " WHERE lost.key_class = 'subject' AND sealed.key_class = 'subject' LIMIT 1",
        "declared lost",
    ),
    "another row is gone": (
        "DELETE FROM sealed WHERE key_class = 'subject'",
        "missing and no erasure explains it",
    ),
    "another attribution is gone": (
        "DELETE FROM sealed WHERE key_class = 'attribution'",
        "of class attribution are missing",
    ),
}


@pytest.mark.parametrize("name", ALTERED)
def test_what_the_log_does_not_declare_is_an_alarm(directory: DataDirectory, name: str) -> None:
    statement, words = ALTERED[name]
    report = check_with(directory, statement)
    if words is None:
        # Kept in mind for the next start: nothing is missing that is not declared anyway.
        assert report.verdict is Verdict.VERIFIED, report.failures
        return
    assert report.verdict is Verdict.FAILED
    assert any(words in failure.reason for failure in report.failures), report.failures
