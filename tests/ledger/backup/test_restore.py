"""Restoring: what comes back is what was recorded, what was erased stays erased, and whatever
cannot be right is refused with the reason."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from ledger import config
from ledger.application import Ledger
from ledger.backup.make import back_up
from ledger.backup.restore import Request, Restored, restore
from ledger.config import DataDirectory
from ledger.errors import ConfigurationError, LedgerError
from ledger.exports.bundles import write_log_bundle
from ledger.fsck import check
from ledger.log.guard import Guard, remembered
from ledger.log.sequencer import sign_checkpoint
from ledger.store import open_store
from ledger.store.lost import select_undeclared
from ledger_verifier.audit.engine import verify_log
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.audit.trust import accept
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.entry import decode
from ledger_verifier.meaning.schemas import Lost
from tests.ledger.acts import act, identified
from tests.ledger.backup.world import ANY, DPO, SQLITE, World, published
from tests.ledger.copies import key_rows

ACTOR = str(uuid4())


def assert_nothing_erased_is_back(world: World, data: Path) -> DataDirectory:
    """Neither the sealed fields of `gone` nor the key they were under is anywhere."""
    directory = config.load(data)
    with closing(open_store(directory.database)) as store:
        assert "subject" not in [row.key_class for row in store.sealed([world.gone_at])]
    assert not key_rows(directory, "WHERE stream = ? AND key_class = 'subject'", world.gone.text)
    for path in data.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            assert world.ciphertext[:64] not in raw, path
            assert world.wrapped not in raw, path
    return directory


def refused(world: World, data: Path, request: Request, match: str) -> None:
    """It is refused for that reason, and nothing is there that could be served."""
    with pytest.raises(LedgerError, match=match):
        restore(request)
    with pytest.raises(ConfigurationError):
        config.load(data)
    assert not (data / "ledger.sqlite").exists()
    # What an old backup holds of the erased is not left lying about.
    assert not list(data.glob("restore.*"))


async def test_with_its_tail_the_guards_checkpoint_is_reproduced(
    world: World, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    done = world.restored(data, 1, 1)
    assert (done.backup_size, done.size) == (world.sizes[0], world.sizes[2])
    assert done.destroyed == 2
    directory = assert_nothing_erased_is_back(world, data)
    with closing(open_store(directory.database)) as store:
        head = store.head()
    assert head is not None
    assert remembered(directory.guard_path) == head.checkpoint
    # Until the service has declared what was lost, that is an alarm.
    undeclared = check(directory)
    assert undeclared.verdict is Verdict.FAILED
    assert {f.reason.split(",")[0] for f in undeclared.failures} == {
        "its sealed fields were lost with a restore"
    }
    async with Ledger.open(data) as ledger:
        size = (await ledger.status())["tree_size"]
        assert_declared([await ledger.entry(DPO, p) for p in range(done.size, size)], done)
        # What is gone does not open, and a retry of it is the same event; a new one is sealed.
        assert await ledger.sealed(DPO, world.gone_at, ACTOR, "review") == {}
        again = await ledger.record(ANY, world.tail)
        assert [one.created for one in again] == [False, False]
        for one in again:
            assert await ledger.sealed(DPO, one.position, ACTOR, "review") == {}
        (closed,) = await ledger.record(ANY, [act("case.closed", world.late)])
        assert await ledger.sealed(DPO, closed.position, ACTOR, "review") != {}
        await published(ledger)
        assert not undeclared_losses(directory)
    assert_nothing_erased_is_back(world, data)
    report = check(directory)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.checked["lost"] == report.checked["sealed_lost"] == done.lost > 0
    assert_an_auditor_finds_it_whole(world, directory, tmp_path / "log.zip")


def assert_declared(recorded: list[bytes], done: Restored) -> None:
    """What was lost is declared before anything else is recorded."""
    declared = [decode(raw) for raw in recorded]
    assert [entry["type"] for entry in declared] == ["sealed.lost"] * 3
    assert {entry["data"]["key_class"] for entry in declared} == {"subject", "attribution"}
    # What an erasure of one entry sealed anew is of the backup; the rest is of the tail.
    before = [entry for entry in declared if entry["data"]["first"] < done.backup_size]
    assert [(e["data"]["key_class"], e["data"]["entries"]) for e in before] == [("subject", 1)]
    for entry in declared:
        data = entry["data"]
        assert data["first"] == data["last"] or done.backup_size <= data["first"]
        assert data["first"] <= data["last"] < done.size
        assert (data["backup_size"], data["log_size"]) == (done.backup_size, done.size)


def undeclared_losses(directory: DataDirectory) -> list[Lost]:
    with closing(open_store(directory.database)) as store, store.read() as rows:
        return [note.lost for note in select_undeclared(rows)]


def assert_an_auditor_finds_it_whole(world: World, directory: DataDirectory, log: Path) -> None:
    """With the checkpoint that an auditor has from before."""
    with closing(open_store(directory.database)) as store:
        write_log_bundle(store, log)
    policy = directory.policy()
    with world.log.open("rb") as before, log.open("rb") as after:
        known = accept(BundleLogReader(BundleReader(before)).checkpoint(), policy, "before")
        report = verify_log(BundleLogReader(BundleReader(after)), policy, earlier=[known])
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert [one.agrees for one in report.compared] == [True]
    assert report.checked["sealed_lost"] > 0


def test_without_its_tail_an_old_backup_is_refused(world: World, tmp_path: Path) -> None:
    data = world.lost(tmp_path / "data")
    match = f"{world.sizes[0]} entries, and the guard's checkpoint has {world.sizes[2]}.*--tail"
    refused(world, data, world.request(data, 1, 1, tail=False), match)


@SQLITE
def test_a_tail_that_ends_too_early_is_refused(world: World, tmp_path: Path) -> None:
    data = world.lost(tmp_path / "data")
    guard = Guard(data / "keys" / "guard")
    signer = world.directory.signing_keys().ed25519
    larger = world.sizes[2] + 1
    guard.write(sign_checkpoint(signer, world.directory.origin, larger, bytes(32)))
    refused(world, data, world.request(data, 1, 1), f"ends at {larger - 1} entries")


def test_a_new_backup_needs_no_tail(world: World, tmp_path: Path) -> None:
    done = world.restored(tmp_path / "data", 3, 3, tail=False)
    assert (done.size, done.lost) == (world.sizes[2], 0)
    directory = assert_nothing_erased_is_back(world, tmp_path / "data")
    assert check(directory).verdict is Verdict.VERIFIED


@pytest.mark.parametrize(("events", "keys"), [(1, 3), (2, 1)])
def test_stores_of_different_age_with_the_tail(
    world: World, tmp_path: Path, events: int, keys: int
) -> None:
    world.restored(tmp_path / "data", events, keys)
    assert_nothing_erased_is_back(world, tmp_path / "data")


def test_a_key_store_that_lacks_keys_is_refused(world: World, tmp_path: Path) -> None:
    data = world.lost(tmp_path / "data")
    refused(world, data, world.request(data, 3, 2), r"lacks \d+ keys .* older")


def test_a_newer_key_store_than_the_log_is_refused(world: World, tmp_path: Path) -> None:
    data = world.lost(tmp_path / "data")
    # The guard is as old as the event store, so that nothing else tells.
    shutil.copy(world.guard(1), data / "keys" / "guard")
    refused(world, data, world.request(data, 1, 3, tail=False), "log has been rolled back")


def test_both_old_with_an_old_guard_is_caught_by_whoever_knows_more(
    world: World, tmp_path: Path
) -> None:
    data = world.lost(tmp_path / "data")
    shutil.copy(world.guard(1), data / "keys" / "guard")
    checkpoint = tmp_path / "checkpoint"
    with world.log.open("rb") as file:
        checkpoint.write_bytes(BundleLogReader(BundleReader(file)).checkpoint())
    request = world.request(data, 1, 1, tail=False, known=(checkpoint,))
    refused(world, data, request, "lost entries must never go on")
    assert restore(world.request(data, 1, 1, known=(checkpoint,))).size == world.sizes[2]
    assert_nothing_erased_is_back(world, data)


@SQLITE
def test_without_a_guard_somebody_must_know_a_checkpoint(world: World, tmp_path: Path) -> None:
    data = world.lost(tmp_path / "data")
    (data / "keys" / "guard").unlink()
    refused(world, data, world.request(data, 3, 3), "guard .* is missing")
    checkpoint = tmp_path / "checkpoint"
    with world.log.open("rb") as file:
        checkpoint.write_bytes(BundleLogReader(BundleReader(file)).checkpoint())
    restore(world.request(data, 3, 3, known=(checkpoint,)))
    assert remembered(data / "keys" / "guard").split(b"\n")[1] == b"%d" % world.sizes[2]


def test_the_key_store_that_is_still_there_is_kept(world: World, tmp_path: Path) -> None:
    data = world.lost(tmp_path / "data")
    here = data / "keys" / "keys.sqlite"
    if world.make_database is None:
        with closing(sqlite3.connect(world.directory.key_database)) as keys:
            keys.execute("VACUUM INTO ?", (str(here),))
        refused(world, data, world.request(data, 1, 1), "There is a key store .* --replace")
    request = world.request(data, 1, None)
    if request.key_database is not None:
        request = replace(request, key_database=world.directory.key_database)
        filled = replace(request, keys_archive=world.keys(2))
        refused(world, data, filled, "holds a key store already")
    restore(request)
    assert_nothing_erased_is_back(world, data)


def test_without_any_key_store_it_is_refused(world: World, tmp_path: Path) -> None:
    data = world.lost(tmp_path / "data")
    refused(world, data, world.request(data, 3, None), "key store")


@SQLITE
def test_without_the_signing_keys_it_is_refused(world: World, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    refused(world, data, world.request(data, 3, 3), "No backup holds the signing keys")


@pytest.mark.parametrize("digits", ["", "ab" * 31, "ab" * 32], ids=["gone", "cut", "another"])
def test_without_its_wrapping_key_one_thing_is_to_be_done(
    world: World, tmp_path: Path, digits: str
) -> None:
    requests = {}
    for how, keys in (("kept", None), ("from its backup", 3)):
        data = world.lost(tmp_path / how)
        requests[how] = request = world.request(data, 3, keys)
        if keys is None and request.key_database is not None:
            requests[how] = replace(request, key_database=world.directory.key_database)
        elif keys is None:
            shutil.copy(world.directory.key_database, data / "keys" / "keys.sqlite")
    for request in requests.values():
        wrapping = request.data / "keys" / "wrapping.key"
        right = wrapping.read_bytes()
        wrapping.unlink()
        if digits:
            wrapping.write_text(digits)
        with pytest.raises(ConfigurationError, match="no backup holds") as caught:
            restore(request)
        assert "back" in caught.value.detail
        assert "another backup" not in caught.value.detail
        assert not (request.data / "ledger.toml").exists()
        wrapping.write_bytes(right)
    # That was all that was wrong.
    assert restore(requests["from its backup"]).size


def test_a_ledger_that_is_there_is_not_written_over(world: World, tmp_path: Path) -> None:
    data = tmp_path / "data"
    world.restored(data, 3, 3)
    directory = config.load(data)
    before = Path(data / "ledger.toml").read_bytes()
    match = "already" if directory.embedded else "holds a ledger already"
    # Another state than the one that is there.
    with closing(open_store(directory.database)) as store, store._write() as rows:
        rows.execute("UPDATE head SET checkpoint = root")
    with pytest.raises(ConfigurationError, match=match):
        restore(Request(data, world.events(3)))
    assert (data / "ledger.toml").read_bytes() == before
    if directory.embedded:
        done = restore(Request(data, world.events(3), world.keys(3), replace=True))
        assert [path.name for path in done.aside] == ["ledger.sqlite", "keys.sqlite"]
        assert all(path.exists() for path in done.aside)
        assert check(config.load(data)).verdict is Verdict.VERIFIED


@SQLITE
def test_a_ledger_that_is_served_is_not_touched(world: World, tmp_path: Path) -> None:
    data = tmp_path / "data"
    world.restored(data, 3, 3)
    with (
        config.locked(config.load(data), wait=0.0),
        pytest.raises(ConfigurationError, match="Another process is serving"),
    ):
        restore(Request(data, world.events(3), replace=True))


@SQLITE
async def test_a_tail_of_another_history_is_refused(world: World, tmp_path: Path) -> None:
    """Under the log's own keys: as when a backup was served while the log went on elsewhere."""
    fork = world.lost(tmp_path / "fork")
    shutil.copy(world.guard(1), fork / "keys" / "guard")
    restore(world.request(fork, 1, 1, tail=False))
    async with Ledger.open(fork) as ledger:
        await ledger.record(ANY, [identified() for _ in range(12)])
        await published(ledger)
    with closing(open_store(config.load(fork).database)) as store:
        write_log_bundle(store, tmp_path / "fork.zip")
    data = world.lost(tmp_path / "data")
    other = replace(world.request(data, 1, 1), tail=tmp_path / "fork.zip")
    refused(world, data, other, "does not verify: .*the guard's checkpoint")
    # Nor does it go on from a backup that was made after they parted.
    shutil.copy(world.guard(1), data / "keys" / "guard")
    other = replace(world.request(data, 2, 2), tail=tmp_path / "fork.zip")
    refused(world, data, other, "does not continue the backup")


async def test_a_backup_made_under_load_is_one_moment(world: World, tmp_path: Path) -> None:
    data = tmp_path / "data"
    world.restored(data, 3, 3)
    async with Ledger.open(data) as ledger:

        async def record() -> None:
            for _ in range(10):
                await ledger.record(ANY, [identified(), identified()])

        _, made, _ = await asyncio.gather(
            record(),
            asyncio.to_thread(back_up, data, tmp_path / "events", tmp_path / "keys"),
            record(),
        )
        await ledger.record(ANY, [identified()])
        await published(ledger)
    directory = config.load(data)
    with closing(open_store(directory.database)) as store:
        write_log_bundle(store, tmp_path / "log.zip")
    again = world.lost(tmp_path / "again")
    shutil.copy(directory.guard_path, again / "keys" / "guard")
    given = world.request(again, 3, 3)
    done = restore(
        replace(
            given,
            archive=tmp_path / "events",
            keys_archive=tmp_path / "keys",
            tail=tmp_path / "log.zip",
        )
    )
    assert world.sizes[2] <= made.events.size < done.size
    async with Ledger.open(again):
        pass
    assert check(config.load(again)).verdict is Verdict.VERIFIED
