"""Restoring a log of which streams have expired: what has expired stays away, whichever backups and
tail are put together, and the rest is as it was."""

import asyncio
import shutil
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from ledger import config
from ledger.application import Ledger
from ledger.backup.expired import Expired as ExpiredSince
from ledger.backup.expired import KeysOfExpired
from ledger.backup.restore import restore
from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.errors import Expired, IntegrityAlarm
from ledger.exports.bundles import write_log_bundle
from ledger.fsck import check
from ledger.store import open_store
from ledger.store.expiry import select_gone, select_restored
from ledger.store.rows import id_bytes
from ledger.vault.erasure import check_own
from ledger.vault.keepers import open_wrapper
from ledger.vault.keystore import KeyStore
from ledger_verifier.audit.engine import verify_log
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.entry import canonical
from tests.faults.life import living
from tests.ledger.acts import act
from tests.ledger.backup.expiring_world import MANY, ExpiringWorld, stored_of
from tests.ledger.copies import in_keys, key_rows

SQLITE = pytest.mark.parametrize("expiring", ["sqlite"], indirect=True, scope="session")


def assert_nothing_expired_is_back(world: ExpiringWorld, data: Path) -> DataDirectory:
    directory = config.load(data)
    assert stored_of(world, directory.database) == []
    with closing(open_store(directory.database)) as store:
        assert store.stream_heads(one.text for one in world.expired) == {}
    for stream in world.expired:
        assert key_rows(directory, "WHERE stream = ?", stream.text) == []
    for path in data.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            assert [one for one in world.secrets if one in raw] == [], path
    return directory


def report_of(directory: DataDirectory, log: Path) -> Report:
    """What the verifier says of a log bundle."""
    with log.open("rb") as file:
        return verify_log(BundleLogReader(BundleReader(file)), directory.policy())


def test_the_verifier_says_what_it_said_before(expiring: ExpiringWorld, tmp_path: Path) -> None:
    done = expiring.restored(tmp_path / "data", 1, 1)
    assert done.size == expiring.sizes[3] + 1
    # Unknown are of `across` the last entry, of `erased` the two of its erasure, all of `within`.
    assert (done.expired, done.unknown) == (len(expiring.positions) - 2, 1 + 2 + MANY + 2)
    assert done.expired == done.unknown + 3 + 1
    directory = assert_nothing_expired_is_back(expiring, tmp_path / "data")
    with closing(open_store(directory.database)) as store:
        write_log_bundle(store, tmp_path / "log.zip")
    before = report_of(expiring.directory, expiring.log)
    after = report_of(directory, tmp_path / "log.zip")
    assert before.verdict is after.verdict is Verdict.VERIFIED, after.failures
    assert (before.tree_size, before.checked) == (after.tree_size, after.checked)
    assert after.checked["expired"] == len(expiring.positions) > 256
    left = {failure.reason.split(",")[0] for failure in check(directory).failures}
    assert left == {"its sealed fields were lost with a restore"}


async def test_what_has_expired_is_not_recorded_again(
    expiring: ExpiringWorld, tmp_path: Path
) -> None:
    """But for what nobody can know any more: an event of a stream that came and went between."""
    data = tmp_path / "data"
    await asyncio.to_thread(expiring.restored, data, 0, 0)
    async with Ledger.open(data):
        # Declares what was lost.
        pass
    directory = config.load(data)
    # As beside a key store from before: what is known of the keys is carried out again.
    in_keys(directory, "UPDATE vault_state SET applied_through = 0")
    with living(directory) as life:
        for stream in (expiring.first, expiring.across, expiring.erased):
            new = "case.reviewed" if stream.kind == "case" else "erasure.ordered"
            for event in (*expiring.sent[stream.text], act(new, stream)):
                with pytest.raises(Expired):
                    await life.record(event)
        (kept, *_) = expiring.sent[expiring.kept.text]
        assert [one.created for one in await life.record(kept)] == [False]
        within = expiring.sent[expiring.within.text][0]
        assert [one.created for one in await life.record(within)] == [True]
    report = check(directory)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.checked["expired"] == len(expiring.positions)
    assert report.checked["expired streams"] == 3
    assert any("would be known again" in line for line in report.not_assessed)
    assert any("a restore could not know them all" in line for line in report.not_assessed)
    # It is the known ones that the restore has signed for, and no fewer.
    with closing(open_store(directory.database)) as store, store._write() as rows:
        (position,) = select_restored(rows)
        rows.execute("DELETE FROM destroyed_keys WHERE key_id =" + ONE_OF, (position,))
    report = check(directory)
    assert [(failure.position, failure.reason) for failure in report.failures] == [
        (position, "the keys named as destroyed by this entry are not its own")
    ]


ONE_OF = " (SELECT key_id FROM destroyed_keys WHERE position = ? ORDER BY key_id LIMIT 1)"

#: Backups of the event store and of the key store that are put together with the newest copy of the
#: log. (1, 0), (2, 0) and (3, 0) lack the key of tombstones.
TOGETHER = [(0, 1), (0, 3), (1, 2), (2, 1), (2, 2), (3, 1), (3, 3)]


@SQLITE
@pytest.mark.parametrize(("events", "keys"), TOGETHER)
def test_whichever_backups_are_put_together(
    expiring: ExpiringWorld, tmp_path: Path, events: int, keys: int
) -> None:
    expiring.restored(tmp_path / "data", events, keys)
    directory = assert_nothing_expired_is_back(expiring, tmp_path / "data")
    with closing(open_store(directory.database)) as store, store.read() as rows:
        assert store.stream_heads([expiring.kept.text])
        # The one key that a restore may not know is that of `within`.
        assert len(select_restored(rows)) == (events < 2)
        known = select_gone(rows)
    with closing(open_store(expiring.directory.database)) as store, store.read() as rows:
        was = select_gone(rows)
    assert sum(map(len, was.values())) == sum(map(len, known.values())) + (events < 2)
    assert all(set(known[position]) <= set(was[position]) for position in was)


@SQLITE
def test_with_a_key_store_that_is_still_there(expiring: ExpiringWorld, tmp_path: Path) -> None:
    """As when the machine failed after the expiry was recorded and before its keys went: the keys
    of `within` are there, and nothing in the log names them any more."""
    then, data = expiring.lost(tmp_path / "then"), expiring.lost(tmp_path / "data")
    shutil.copy(expiring.guard(2), then / "keys" / "guard")
    restore(expiring.request(then, 2, 2, tail=False))
    within = ("WHERE stream = ?", expiring.within.text)
    assert key_rows(config.load(then), *within)
    shutil.copy(then / "keys" / "keys.sqlite", data / "keys")
    restore(expiring.request(data, 1, None))
    directory = assert_nothing_expired_is_back(expiring, data)
    # Whose key is no stream's stays.
    assert len(key_rows(directory, "WHERE key_class = 'tombstones'")) == 1


@SQLITE
def test_without_the_key_of_tombstones_it_is_refused(
    expiring: ExpiringWorld, tmp_path: Path
) -> None:
    for events in (1, 3):
        with pytest.raises(IntegrityAlarm, match=r"key store .* older"):
            expiring.restored(tmp_path / str(events), events, 0)


@SQLITE
def test_a_part_of_a_stream_does_not_expire(expiring: ExpiringWorld, tmp_path: Path) -> None:
    """Whoever holds the log's key could have signed that."""
    data = tmp_path / "data"
    expiring.restored(data, 3, 3)
    with closing(open_store(config.load(data).database)) as store, store.read() as rows:
        kept = [one.position for one in store.stream(expiring.kept.text)]
        size = kept[-1] + 1
        told = {"keys_sha256": "", "order": 1, "spans": [kept[0], kept[0]]}
        said = canonical({"type": "stream.expired", "data": told})
        expired = ExpiredSince(rows, store.position_sql, size)
        expired.learn(size, [said])
        asked = KeysOfExpired(
            lambda _: (expiring.kept.id, bytes(32)), lambda _: {}, lambda *_: None
        )
        with pytest.raises(IntegrityAlarm, match="a part of a stream"):
            expired.carry_out(asked, expiring.directory.signing_keys().ed25519)


@SQLITE
def test_no_other_streams_key_goes_with_a_stream(expiring: ExpiringWorld, tmp_path: Path) -> None:
    """Whoever had the event store before it was backed up could have put its id there."""
    expiring.restored(tmp_path / "data", 3, 3)
    directory = config.load(tmp_path / "data")
    keys = KeyStore(open_database(directory.key_database), open_wrapper(directory))
    with closing(keys), closing(open_store(directory.database)) as store, store.fill() as rows:
        kept = [one.position for one in store.stream(expiring.kept.text)]
        ((other, _),) = keys.keys_for([("case/another", "subject")]).values()
        rows.execute("UPDATE sealed SET key_id = ? WHERE position = ?", (id_bytes(other), kept[0]))
        spans = [end for position in kept for end in (position, position)]
        told = {"keys_sha256": "", "order": 1, "spans": spans}
        expired = ExpiredSince(rows, store.position_sql, kept[-1] + 1)
        expired.learn(kept[-1] + 1, [canonical({"type": "stream.expired", "data": told})])
        asked = KeysOfExpired(
            lambda _: (expiring.kept.id, bytes(32)), keys.ids_of, partial(check_own, keys)
        )
        with pytest.raises(IntegrityAlarm, match="another stream's"):
            expired.carry_out(asked, directory.signing_keys().ed25519)
