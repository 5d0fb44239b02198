"""Streams that expire after something of them was erased: every key that was ever destroyed stays
named, so that no older copy of the key store brings one back."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from ledger.config import DataDirectory
from ledger.errors import ErasurePending, Expired
from ledger.expiring import Expirer
from ledger.fsck import check
from ledger.store import open_store
from ledger.submission import Submission
from ledger.vault.keystore import KeyStore
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.entry import StreamRef
from tests.faults.life import living
from tests.ledger.acts import act, identified
from tests.ledger.copies import in_keys, key_rows

LATER = datetime.now(UTC) + timedelta(days=4000)
PUT_BACK = "INSERT INTO stream_keys (key_id, stream, key_class, wrapped) VALUES (?, ?, ?, ?)"


@pytest.fixture(autouse=True)
def later() -> Iterator[None]:
    """It is years later, for whoever asks what is due."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Expirer, "now", lambda _: LATER)
        yield


def old_party() -> list[Submission]:
    """What was recorded of somebody; nothing stands before its expiry."""
    party = StreamRef("party", str(uuid4()))
    return [act("record.altered", party) for _ in range(3)]


def erasure_of(event: Submission) -> Submission:
    whole = act("erasure.executed", event.stream)
    return replace(whole, data={**whole.data, "scope": "entries", "erased_events": [event.id]})


def keys_of(directory: DataDirectory, stream: str) -> list[tuple[object, ...]]:
    return key_rows(directory, "WHERE stream = ?", stream)


async def test_what_erasures_destroyed_before_an_expiry_stays_destroyed(
    directory: DataDirectory,
) -> None:
    events = old_party()
    stream = events[0].stream.text
    copies: dict[object, tuple[object, ...]] = {}
    erasures = [erasure_of(events[0]), act("erasure.executed", events[0].stream)]
    with living(directory) as life:
        await life.record(act("policy.adopted"), *events)
        for erasure in erasures:
            copies |= {row[0]: row for row in keys_of(directory, stream)}
            await life.record(erasure)
        await life.record(act("record.altered", events[0].stream))
        copies |= {row[0]: row for row in keys_of(directory, stream)}
        await life.record(act("expiry.ordered"))
        with pytest.raises(Expired):
            # A late retry of the erasure.
            await life.record(erasures[0])
    # Of the subject: the first, the one of what was kept, the last; and the one of attribution.
    assert len(copies) == 4
    assert keys_of(directory, stream) == []
    with closing(open_store(directory.database)) as store:
        named = store.destroyed_keys(0)
    assert {key.key_id for key in named} == copies.keys()
    assert {key.stream for key in named} == {""}
    assert check(directory).verdict is Verdict.VERIFIED
    # Whichever of them comes back is told of, and an older key store is brought up to the log.
    for key_id, row in copies.items():
        in_keys(directory, PUT_BACK, *row)
        report = check(directory)
        assert report.verdict is Verdict.FAILED
        assert [failure.position for failure in report.failures] == [named[-1].position]
        in_keys(directory, "DELETE FROM stream_keys WHERE key_id = ?", key_id)
    in_keys(directory, "UPDATE vault_state SET applied_through = 0")
    for row in copies.values():
        in_keys(directory, PUT_BACK.replace("?, ?, ?, ?", "?, ?, ? || '-' || random(), ?"), *row)
    with living(directory):
        assert keys_of(directory, stream) == []
    report = check(directory)
    assert report.verdict is Verdict.VERIFIED, report.failures
    if directory.embedded:
        files = b"".join(path.read_bytes() for path in directory.path.rglob("*.sqlite*"))
        assert events[0].stream.id.encode() not in files
        assert not any(row[3] in files for row in copies.values() if isinstance(row[3], bytes))


async def test_an_expiry_carries_out_an_erasure_that_was_not_yet(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key store still holds what the erasure named: both name it."""
    events = old_party()

    def fail(*_: object, **__: object) -> None:
        raise OSError("the key store's disk is busy")

    with living(directory) as life:
        await life.record(act("policy.adopted"), *events)
        with monkeypatch.context() as broken:
            broken.setattr(KeyStore, "destroy", fail)
            with pytest.raises(ErasurePending):
                await life.record(erasure_of(events[0]))
            with pytest.raises(ErasurePending):
                await life.record(act("expiry.ordered"))
        before = {row[0] for row in keys_of(directory, events[0].stream.text)}
        assert len(before) == 3
        life.opener.apply_erasures()
        assert keys_of(directory, events[0].stream.text) == []
        assert {key.key_id for key in life.store.destroyed_keys(0)} == before
    assert check(directory).verdict is Verdict.VERIFIED


async def test_many_erasures_and_expiries_change_no_verdict(directory: DataDirectory) -> None:
    with living(directory) as life:
        await life.record(act("policy.adopted"))
        for number in range(4):
            parties, case = [old_party() for _ in range(4)], identified()
            await life.record(case, *(event for party in parties for event in party))
            await life.record(*(erasure_of(party[0]) for party in parties[:3]))
            await life.record(*(act("erasure.executed", p[0].stream) for p in parties[:2]))
            await life.record(act("erasure.executed", case.stream))
            await life.record(act("expiry.ordered"))
            report = check(directory)
            assert report.verdict is Verdict.VERIFIED, report.failures
            assert report.checked["erased"] == number + 1
            assert report.checked["expired streams"] == 4 * (number + 1)
