"""Erasure of a stream: intent in the log, rows and keys gone, every proof as before."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.errors import (
    DuplicateConflict,
    ErasurePending,
    Forbidden,
    IntegrityAlarm,
    Invalid,
    NothingToErase,
    VaultUnavailable,
)
from ledger.fsck import check
from ledger.intake import draft, prepare
from ledger.log.clock import Clock
from ledger.log.guard import Guard
from ledger.log.messages import NOTHING, Committed, Refused
from ledger.log.sequencer import Sequencer
from ledger.store import open_store
from ledger.submission import Submission
from ledger.vault.keystore import KeyStore
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.entry import StreamRef, decode
from tests.ledger.acts import act, credential, identified

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"


@pytest.fixture
async def ledger(directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(directory.path) as opened:
        yield opened


async def test_an_erasure_removes_subject_data_and_keeps_attribution(
    ledger: Ledger, directory: DataDirectory
) -> None:
    stream = StreamRef("case", str(uuid4()))
    disclosed = act("data.disclosed", stream)
    person = identified(stream)
    first, second = await ledger.record(ANY, [person, disclosed])
    store = open_store(directory.database)
    key_id = store.stream_heads([stream.text])[stream.text].subject_key
    (erased,) = await ledger.record(DPO, [act("erasure.executed", stream)])
    data = decode(await ledger.entry(DPO, erased.position, ACTOR))["data"]
    assert data["key_ids"] == [key_id]
    # What was found came right before it, in the same transaction.
    assert data["through"] == second.version + 1
    frozen = decode(await ledger.entry(DPO, erased.position - 1, ACTOR))
    assert (frozen["type"], frozen["source"]) == ("findings.frozen", "hub-ledger")
    assert frozen["data"]["judged_through"] == second.version
    assert [row.key_class for row in store.sealed([first.position, second.position])] == [
        "attribution"
    ]
    keys = open_database(directory.key_database)
    with keys.transaction() as rows:
        rows.execute("SELECT COUNT(*) FROM stream_keys WHERE key_id = ?", (key_id,))
        assert rows.fetchone() == (0,)
    opened = await ledger.sealed(DPO, second.position, ACTOR, "inspection")
    assert set(opened) == {"recipient_organisation", "recipient_person", "subject_count"}
    assert await ledger.sealed(DPO, first.position, ACTOR, "inspection") == {}
    assert check(directory).verdict is Verdict.VERIFIED
    keys.close()
    store.close()


async def test_a_retry_after_erasure_seals_nothing_again(
    ledger: Ledger, directory: DataDirectory
) -> None:
    person = identified()
    (first,) = await ledger.record(ANY, [person])
    erasure = act("erasure.executed", person.stream)
    (erased,) = await ledger.record(DPO, [erasure])
    (again,) = await ledger.record(ANY, [person])
    assert (again.position, again.created) == (first.position, False)
    # Its sealed fields are gone, so only what is open can tell another event from it.
    changed = Submission(
        **{name: getattr(person, name) for name in Submission.__dataclass_fields__}
        | {"data": {**person.data, "purpose": "safeguarding"}}
    )
    with pytest.raises(DuplicateConflict):
        await ledger.record(ANY, [changed])
    (once,) = await ledger.record(DPO, [erasure])
    assert once.position == erased.position
    store = open_store(directory.database)
    assert store.sealed([first.position]) == []
    store.close()


async def test_after_an_erasure_new_data_goes_under_a_new_key(
    ledger: Ledger, directory: DataDirectory
) -> None:
    stream = StreamRef("case", str(uuid4()))
    await ledger.record(ANY, [identified(stream)])
    await ledger.record(DPO, [act("erasure.executed", stream)])
    (later,) = await ledger.record(ANY, [act("case.closed", stream)])
    assert "reason" in await ledger.sealed(DPO, later.position, ACTOR, "review")
    store = open_store(directory.database)
    (row,) = store.sealed([later.position])
    assert row.key_id not in {key.key_id for key in store.destroyed_keys(0)}
    store.close()
    assert check(directory).verdict is Verdict.VERIFIED


async def test_sealing_that_races_an_erasure_never_survives_it(
    ledger: Ledger, directory: DataDirectory
) -> None:
    stream = StreamRef("case", str(uuid4()))
    await ledger.record(ANY, [identified(stream)])
    events = [ledger.record(ANY, [identified(stream)]) for _ in range(20)]
    erasures = [ledger.record(DPO, [act("erasure.executed", stream)]) for _ in range(3)]
    mixed = [*events[:7], erasures[0], *events[7:14], erasures[1], *events[14:], erasures[2]]
    outcomes = await asyncio.gather(*mixed, return_exceptions=True)
    failed = [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
    # One that comes right after another finds nothing left to erase.
    assert set(failed) <= {NothingToErase}
    assert len(failed) < 3
    report = check(directory)
    assert report.verdict is Verdict.VERIFIED, report.failures


def test_a_person_recorded_and_erased_twice_in_one_batch(directory: DataDirectory) -> None:
    """What the batch itself holds is doomed once: the second erasure has nothing left to erase."""
    store = open_store(directory.database)
    stream = StreamRef("case", str(uuid4()))
    keys = {
        (stream.text, "subject"): (str(uuid4()), bytes(32)),
        (stream.text, "attribution"): (str(uuid4()), bytes(32)),
    }
    acts = [identified(stream), *(act("erasure.executed", stream) for _ in range(2))]
    batch = [[prepare(directory.origin, draft(DPO, one), keys, None)] for one in acts]
    with closing(Guard(directory.guard_path)) as guard:
        signer = directory.signing_keys().ed25519
        sequencer = Sequencer(store, signer, directory.origin, Clock(), guard)
        size = sequencer.check_start().size
        outcomes = sequencer.append(batch)
    assert isinstance(outcomes[1], Committed)
    assert outcomes[2] == Refused(NOTHING, 0)
    (told,) = [decode(one.raw)["data"] for one in store.entries(size + 1, 2)]
    assert told["key_ids"] == [keys[(stream.text, "subject")][0]]
    assert list(store.sealed([size])) == []
    store.close()


async def test_an_erasure_of_nothing_is_refused(ledger: Ledger, directory: DataDirectory) -> None:
    """Before keys are made for a stream that never existed, and after everything was erased."""
    unknown = act("erasure.executed")
    with pytest.raises(NothingToErase, match="Nothing was recorded") as caught:
        await ledger.record(DPO, [unknown])
    assert [field.pointer for field in caught.value.fields] == ["/subject"]
    with closing(open_database(directory.key_database)) as keys, keys.transaction() as rows:
        rows.execute("SELECT COUNT(*) FROM stream_keys WHERE stream = ?", (unknown.stream.text,))
        assert rows.fetchone() == (0,)
    person = identified()
    await ledger.record(ANY, [person])
    await ledger.record(DPO, [act("erasure.executed", person.stream)])
    with pytest.raises(NothingToErase):
        await ledger.record(DPO, [act("erasure.executed", person.stream)])
    shared = act("recipient_erasure.requested")
    await ledger.record(ANY, [shared])
    with pytest.raises(NothingToErase):
        await ledger.record(DPO, [act("erasure.executed", shared.stream)])


async def test_what_follows_an_erasure_is_told(ledger: Ledger) -> None:
    person = identified()
    await ledger.record(ANY, [person])
    await ledger.record(DPO, [act("erasure.executed", person.stream)])
    state = await ledger.case(DPO, person.stream.id, ACTOR, None)
    assert (state["status"], state["recorded_since_erasure"]) == ("erasing", 0)
    await ledger.record(ANY, [act("case.closed", person.stream)])
    state = await ledger.case(DPO, person.stream.id, ACTOR, None)
    assert (state["status"], state["recorded_since_erasure"]) == ("recorded-since-erasure", 1)


async def test_only_a_dpo_erases(ledger: Ledger) -> None:
    person = identified()
    await ledger.record(ANY, [person])
    bound = credential(
        all=False,
        organisation=person.organisation,
        hubs=frozenset({person.hub}),
        sources=frozenset({person.source}),
    )
    with pytest.raises(Forbidden):
        await ledger.record(bound, [act("erasure.executed", person.stream)])


async def test_an_erasure_stands_alone_in_its_stream_in_a_batch(ledger: Ledger) -> None:
    person, other = identified(), identified()
    await ledger.record(ANY, [person, other])
    erasure = act("erasure.executed", person.stream)
    with pytest.raises(Invalid):
        await ledger.record(DPO, [act("case.closed", person.stream), erasure])
    with pytest.raises(Invalid):
        await ledger.record(DPO, [erasure, act("case.closed", person.stream)])
    await ledger.record(DPO, [erasure, act("case.closed", other.stream)])


async def test_keys_that_could_not_be_destroyed_are_destroyed_later(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = identified()
    erasure = act("erasure.executed", person.stream)

    def fail(*_: object, **__: object) -> None:
        raise OSError("the key store's disk is gone")

    async with Ledger.open(directory.path) as ledger:
        (first,) = await ledger.record(ANY, [person])
        with monkeypatch.context() as broken:
            broken.setattr(KeyStore, "destroy", fail)
            with pytest.raises(ErasurePending):
                await ledger.record(DPO, [erasure])
            with pytest.raises(ErasurePending):
                await ledger.record(DPO, [erasure])
    # The intent is durable, the key is still there: opening the ledger carries it out.
    async with Ledger.open(directory.path) as ledger:
        (again,) = await ledger.record(DPO, [erasure])
        assert not again.created
        assert await ledger.sealed(DPO, first.position, ACTOR, "review") == {}
    assert check(directory).verdict is Verdict.VERIFIED


async def test_missing_data_that_no_entry_explains_is_an_alarm(directory: DataDirectory) -> None:
    person = identified()
    async with Ledger.open(directory.path) as ledger:
        (first,) = await ledger.record(ANY, [person])
        store = open_store(directory.database)
        with store._write() as rows:
            rows.execute("DELETE FROM sealed WHERE position = ?", (first.position,))
        store.close()
        with pytest.raises(VaultUnavailable):
            await ledger.sealed(DPO, first.position, ACTOR, "review")
        with pytest.raises(VaultUnavailable):
            await ledger.record(ANY, [person])
    report = check(directory)
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == first.position


async def test_a_key_store_ahead_of_the_log_is_refused(directory: DataDirectory) -> None:
    keys = open_database(directory.key_database)
    with keys.transaction() as rows:
        rows.execute("UPDATE vault_state SET applied_through = 1000000")
    keys.close()
    with pytest.raises(IntegrityAlarm, match="rolled back"):
        async with Ledger.open(directory.path):
            pass


def wal_bytes(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*.sqlite*")))


async def test_ciphertext_and_key_are_in_no_file_afterwards(
    sqlite_directory: DataDirectory,
) -> None:
    person = identified()
    async with Ledger.open(sqlite_directory.path) as ledger:
        (first,) = await ledger.record(ANY, [person])
        with closing(sqlite3.connect(sqlite_directory.database)) as connection:
            (ciphertext,) = connection.execute(
                "SELECT ciphertext FROM sealed WHERE position = ? AND key_class = 'subject'",
                (first.position,),
            ).fetchone()
        with closing(sqlite3.connect(sqlite_directory.key_database)) as connection:
            (wrapped,) = connection.execute(
                "SELECT wrapped FROM stream_keys WHERE stream = ? AND key_class = 'subject'",
                (person.stream.text,),
            ).fetchone()
        before = wal_bytes(sqlite_directory.path)
        # A page boundary may split a long ciphertext; its beginning is enough to find it by.
        assert ciphertext[:200] in before
        assert wrapped in before
        await ledger.record(DPO, [act("erasure.executed", person.stream)])
        # A reader of that moment may hold up the emptying of the write-ahead log until then.
        await ledger.erasures_verified()
        after = wal_bytes(sqlite_directory.path)
    for left in (after, wal_bytes(sqlite_directory.path)):
        assert wrapped not in left
        assert not any(
            ciphertext[start : start + 48] in left for start in range(0, len(ciphertext) - 48, 16)
        )
