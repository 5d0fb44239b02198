"""`fsck` believes a declared loss of what the log says is lost, and of nothing else."""

import asyncio
from collections.abc import Sequence
from contextlib import closing

import pytest

from ledger import config
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.fsck import check, check_rows
from ledger.log.restored import sign_loss
from ledger.store import open_store
from ledger.store.lost import LossNote, note_lost, select_declared
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


def check_with(directory: DataDirectory, statement: str, notes: Sequence[LossNote] = ()) -> Report:
    """What `fsck` says once this has been done to the event store, which it then has not."""
    reports = []
    with (
        closing(open_store(directory.database)) as store,
        pytest.raises(Undo),
        store.fill() as rows,
    ):
        rows.execute(statement)
        for note in notes:
            note_lost(rows, note)
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
        "INSERT INTO lost SELECT first, last, key_class, entries, backup_size, log_size, NULL, NULL"
        f" {LOST}",
        "this log's key did not sign it",
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
    assert report.verdict is Verdict.FAILED
    assert any(words in failure.reason for failure in report.failures), report.failures


def test_a_note_put_back_declares_nothing_again(directory: DataDirectory) -> None:
    """The very notes that the restore made, signed, kept by somebody and put back afterwards."""
    signer = directory.signing_keys().ed25519
    with closing(open_store(directory.database)) as store, store.read() as rows:
        notes = [sign_loss(signer, lost) for _, lost in select_declared(rows)]
    # More is gone by now than was then.
    report = check_with(directory, "DELETE FROM sealed", notes)
    reasons = [failure.reason for failure in report.failures]
    assert sum("a restore after which the log went on" in reason for reason in reasons) == 3
    assert any("missing and no erasure explains it" in reason for reason in reasons)
