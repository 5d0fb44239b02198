"""Backups made in the middle of something: an erasure or an expiry that is recorded and whose keys
are still there, a rotation of the wrapping key, a disk that is full."""

import asyncio
import os
import resource
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger import config
from ledger.backup.make import back_up
from ledger.backup.restore import Request, restore
from ledger.config import DataDirectory
from ledger.database import database_errors, open_database
from ledger.errors import ErasurePending, IntegrityAlarm, VaultUnavailable
from ledger.expiring import Expirer
from ledger.fsck import check
from ledger.store import open_store
from ledger.submission import Submission
from ledger.vault.keepers import open_wrapper
from ledger.vault.keystore import KeyStore
from ledger.vault.rotation import Rotation
from ledger_verifier.audit.report.model import Verdict
from tests.faults.life import living
from tests.ledger.acts import act, identified
from tests.ledger.backup.world import SQLITE, World
from tests.ledger.copies import key_rows

LATER = datetime.now(UTC) + timedelta(days=4000)


def lost(directory: DataDirectory, path: Path) -> Path:
    """A data directory with nothing but its keys and guard."""
    (path / "keys").mkdir(parents=True)
    for name in [*directory.keys_path.glob("*.key"), directory.guard_path]:
        shutil.copy(name, path / "keys")
    return path


@pytest.mark.parametrize("ends", ["erasure.executed", "expiry.ordered"])
async def test_recorded_and_not_carried_out(
    sqlite_directory: DataDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    directory, person = sqlite_directory, identified()
    events, keys = tmp_path / "events", tmp_path / "keys"
    monkeypatch.setattr(Expirer, "now", lambda _: LATER)

    def busy(*_: object, **__: object) -> None:
        raise VaultUnavailable("read by a backup")

    with living(directory) as life:
        await life.record(act("policy.adopted"), person, act("case.closed", person.stream))
        (position, *_) = [one.position for one in life.store.stream(person.stream.text)]
        with monkeypatch.context() as patch:
            patch.setattr(KeyStore, "destroy", busy)
            stream = person.stream if ends == "erasure.executed" else None
            with pytest.raises(ErasurePending):
                await life.record(act(ends, stream))
            back_up(directory.path, events, keys)
    data = lost(directory, tmp_path / "again")
    assert restore(Request(data, events, keys)).destroyed == 0
    again = config.load(data)
    classes = [row[2] for row in key_rows(again, "WHERE stream = ?", person.stream.text)]
    with closing(open_store(again.database)) as store:
        rows = [row.key_class for row in store.sealed([position])]
    assert "subject" not in [*classes, *rows]
    assert check(again).verdict is Verdict.VERIFIED


def test_in_the_middle_of_a_rotation(sqlite_directory: DataDirectory, tmp_path: Path) -> None:
    directory = sqlite_directory
    people: list[Submission] = [identified() for _ in range(3)]
    with living(directory) as life:
        asyncio.run(life.record(*people))
    with closing(open_database(directory.key_database)) as database:
        rotation = Rotation(database, open_wrapper(directory), batch=2)
        newest, _ = rotation.begin()
        with pytest.raises(InterruptedError):
            rotation.run(newest, _after_the_first_batch)
        wrapped = [row[3] for row in key_rows(directory, "")]
        # What stands first tells under which wrapping key.
        assert len({bytes(raw)[:16] for raw in wrapped if isinstance(raw, bytes)}) == 2
        back_up(directory.path, tmp_path / "events", tmp_path / "keys")
    data = lost(directory, tmp_path / "again")
    restore(Request(data, tmp_path / "events", tmp_path / "keys"))
    again = config.load(data)
    assert check(again).verdict is Verdict.VERIFIED
    with closing(open_database(again.key_database)) as database:
        rotation = Rotation(database, open_wrapper(again))
        newest, goes_on = rotation.begin()
        assert goes_on
        assert rotation.run(newest, lambda *_: None) > 0
    assert check(again).verdict is Verdict.VERIFIED


def _after_the_first_batch(*_: int) -> None:
    raise InterruptedError


def on_a_full_disk(run: Callable[[], object], room: int) -> None:
    """Run something in a process of its own that can make no file larger than that."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        try:
            run()
        except database_errors():
            os._exit(7)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7


@SQLITE
def test_a_disk_that_is_full(world: World, tmp_path: Path) -> None:
    """Nothing that passes for a backup, or for a ledger, is left; and then it is done again."""
    to, keys_to = tmp_path / "events", tmp_path / "keys"

    def make() -> None:
        back_up(world.directory.path, to, keys_to)

    on_a_full_disk(make, 4096)
    assert list(tmp_path.iterdir()) == []
    make()
    data = world.lost(tmp_path / "data")
    request = world.request(data, 1, 1)
    on_a_full_disk(lambda: restore(request), 100_000)
    assert not (data / "ledger.toml").exists()
    assert not (data / "ledger.sqlite").exists()
    assert restore(request).size == world.sizes[2]


@SQLITE
def test_a_checkpoint_that_is_none(world: World, tmp_path: Path) -> None:
    data, known = world.lost(tmp_path / "data"), tmp_path / "known"
    manifest = (
        world.log.read_bytes(),
        os.urandom(2000),
        b"",
        b"\n\n",
        b"\xff\xfe",
        b"[]" * 100_000,
    )
    for raw in manifest:
        known.write_bytes(raw)
        with pytest.raises(IntegrityAlarm, match="is not a checkpoint or receipt"):
            restore(world.request(data, 3, 3, known=(known,)))
    assert not (data / "ledger.toml").exists()
