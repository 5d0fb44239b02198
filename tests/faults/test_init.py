"""An `init` that dies half way: what it leaves is refused, or is a whole ledger; it is never
overwritten, and never served without a guard."""

from pathlib import Path

import pytest

from ledger.application import Ledger
from ledger.config import load
from ledger.errors import ConfigurationError, LedgerError
from ledger.initialise import initialise
from ledger.log.guard import Guard
from ledger.log.publisher import Publisher
from ledger.log.sequencer import Sequencer
from ledger.store import SqliteStore
from ledger.vault.keystore import KeyStore
from tests.conftest import MakeDatabase
from tests.faults.account import Acknowledged, assert_whole
from tests.faults.injection import Broken
from tests.ledger.acts import credential, identified

ANY = credential()
STEPS = [(KeyStore, "create"), (SqliteStore, "create"), (Sequencer, "append"), (Guard, "create")]


def fail(*_: object, **__: object) -> None:
    raise Broken("injected")


@pytest.mark.parametrize(("part", "step"), STEPS, ids=[f"{p.__name__}.{s}" for p, s in STEPS])
async def test_half_a_ledger_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: type, step: str
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(part, step, fail)
        with pytest.raises(Broken):
            initialise(tmp_path / "data")
    with pytest.raises(LedgerError):
        async with Ledger.open(tmp_path / "data"):
            pass
    with pytest.raises(ConfigurationError, match="already"):
        initialise(tmp_path / "data")


async def test_a_ledger_that_was_not_published_yet_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Publisher, "publish", fail)
        with pytest.raises(Broken):
            initialise(tmp_path / "data", publish_seconds=0.05)
    event = identified()
    async with Ledger.open(tmp_path / "data") as ledger:
        (done,) = await ledger.record(ANY, [event])
    assert_whole(load(tmp_path / "data"), [Acknowledged(event.id, done.position, done.receipt)])


def test_log_and_key_store_are_not_put_into_one_database(
    postgres: MakeDatabase, tmp_path: Path
) -> None:
    database = postgres()
    with pytest.raises(ConfigurationError, match="another database"):
        initialise(tmp_path / "data", database=database, key_database=database)
    assert not (tmp_path / "data").exists()
    initialise(tmp_path / "data", database=database, key_database=postgres())
