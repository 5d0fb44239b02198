"""Somebody with the database has keys destroyed that no entry of the log names."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest

from ledger.config import DataDirectory
from ledger.errors import IntegrityAlarm
from ledger.expiring import Expirer
from ledger.fsck import check
from ledger.store import Store, open_store
from ledger.store.expiry import NO_STREAM
from ledger.store.rows import id_bytes, key_column
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.entry import StreamRef, canonical
from ledger_verifier.formats.merkle import leaf_hash
from ledger_verifier.meaning.expiry import keys_sha256
from tests.faults.life import living
from tests.ledger.acts import act, identified
from tests.ledger.copies import in_keys, in_store, key_rows

LATER = datetime.now(UTC) + timedelta(days=4000)


@pytest.fixture(autouse=True)
def later() -> Iterator[None]:
    """It is years later, for whoever asks what is due."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Expirer, "now", lambda _: LATER)
        yield


def put(store: Store, key_id: str, stream: str, position: int) -> None:
    with store._write() as rows:
        rows.execute("DELETE FROM destroyed_keys WHERE key_id = ?", (id_bytes(key_id),))
        rows.execute(
            "INSERT INTO destroyed_keys (key_id, stream, position) VALUES (?, ?, ?)",
            (id_bytes(key_id), stream, position),
        )


def rewrite(store: Store, position: int, raw: bytes) -> None:
    """An entry's bytes, and the leaf cell with them."""
    with store._write() as rows:
        key = key_column(store.position_sql)
        rows.execute(f"UPDATE entries SET state = ? WHERE {key} = ?", (raw, position + 1))
        leaf = (leaf_hash(raw), position)
        rows.execute("UPDATE cells SET hash = ? WHERE level = 0 AND idx = ?", leaf)


def subject_key(directory: DataDirectory, stream: str) -> str:
    ((key_id, *_),) = key_rows(directory, "WHERE stream = ? AND key_class = 'subject'", stream)
    return str(key_id)


async def test_no_key_goes_that_the_log_does_not_name(directory: DataDirectory) -> None:
    victim, person, party = identified(), identified(), StreamRef("party", str(uuid4()))
    with living(directory) as life:
        await life.record(act("policy.adopted"), victim, person)
        await life.record(act("record.altered", party))
        (erased,) = await life.record(act("erasure.executed", person.stream))
        (order,) = await life.record(act("expiry.ordered"))
        (last,) = await life.record(identified())
    key_id, named = subject_key(directory, victim.stream.text), person.stream.text
    expired = order.position + 1
    # The service is running: at its start it would find out what is rewritten.
    with closing(open_store(directory.database)) as store, living(directory) as life:
        erasure, expiry = (store.entry(p) or b"" for p in (erased.position, expired))
        gone = {key.key_id for key in store.destroyed_keys(expired)}
        said = orjson.loads(expiry)
        said["data"]["keys_sha256"] = keys_sha256({*gone, key_id})
        blamed = orjson.loads(erasure)
        blamed["data"]["key_ids"] = sorted({*blamed["data"]["key_ids"], key_id})
        attacks = [
            (victim.stream.text, last.position, {}),
            (victim.stream.text, last.position + 1, {}),
            (victim.stream.text, erased.position, {}),
            (named, erased.position, {}),
            (NO_STREAM, last.position, {}),
            (NO_STREAM, expired, {}),
            # Entries that name it are none of the log's.
            (NO_STREAM, expired, {expired: canonical(said)}),
            (named, erased.position, {erased.position: canonical(blamed)}),
        ]
        for stream, position, entries in attacks:
            # As beside an older key store, in which everything is to be destroyed again.
            in_keys(directory, "UPDATE vault_state SET applied_through = 0")
            put(store, key_id, stream, position)
            for at, raw in entries.items():
                rewrite(store, at, raw)
            with pytest.raises(IntegrityAlarm, match="No key was destroyed"):
                life.opener.apply_erasures()
            assert subject_key(directory, victim.stream.text) == key_id
            with store._write() as rows:
                rows.execute("DELETE FROM destroyed_keys WHERE key_id = ?", (id_bytes(key_id),))
            for at in entries:
                rewrite(store, at, {expired: expiry, erased.position: erasure}[at])
        life.opener.apply_erasures()
        assert life.keys.applied_through() == expired + 1
    assert subject_key(directory, victim.stream.text) == key_id
    report = check(directory)
    assert report.verdict is Verdict.VERIFIED, report.failures


async def test_an_expiry_takes_no_other_streams_key_with_it(directory: DataDirectory) -> None:
    victim, party = identified(), StreamRef("party", str(uuid4()))
    with living(directory) as life:
        await life.record(act("policy.adopted"), victim)
        await life.record(act("record.altered", party))
        (erased,) = await life.record(act("erasure.executed", party))
        await life.record(identified())
        key_id = subject_key(directory, victim.stream.text)
        with closing(open_store(directory.database)) as store:
            erasure = store.entry(erased.position) or b""
            blamed = orjson.loads(erasure)
            blamed["data"]["key_ids"] = [key_id]
            rewrite(store, erased.position, canonical(blamed))
            with pytest.raises(IntegrityAlarm, match="altered"):
                await life.record(act("expiry.ordered"))
            rewrite(store, erased.position, erasure)
            # What stands in the table beside the entries is not what goes.
            put(store, key_id, party.text, 0)
        await life.record(act("expiry.ordered"))
        assert life.store.stream(party.text) == []
        assert key_id not in {key.key_id for key in life.store.destroyed_keys(0)}
    assert subject_key(directory, victim.stream.text) == key_id
    report = check(directory)
    assert report.verdict is Verdict.VERIFIED, report.failures


@pytest.mark.parametrize("through_the_head", [False, True])
@pytest.mark.parametrize("whose", ["attribution", "another's"])
async def test_an_erasure_destroys_the_key_of_what_it_erases_and_no_other(
    directory: DataDirectory, whose: str, through_the_head: bool
) -> None:
    """Somebody has the sealed fields of a person named as if they were under another key, so that
    their own outlives the erasure, which would be verified."""
    victim, person = identified(), identified()
    with living(directory) as life:
        share = act("data.disclosed", person.stream)
        await life.record(person, share, victim)
        own = subject_key(directory, person.stream.text)
        where = ("WHERE stream = ? AND key_class = ?",)
        of = (
            (person.stream.text, whose)
            if whose == "attribution"
            else (victim.stream.text, "subject")
        )
        ((other, *_),) = key_rows(directory, *where, *of)
        name(directory, person.stream.text, own, str(other), through_the_head)
        before = (own, other, life.store.head())
        with pytest.raises(IntegrityAlarm, match="no key was destroyed"):
            await life.record(act("erasure.executed", person.stream))
        assert (subject_key(directory, person.stream.text), other, life.store.head()) == before
        assert key_rows(directory, *where, *of)
        name(directory, person.stream.text, str(other), own, through_the_head)
        await life.record(act("erasure.executed", person.stream))
        assert key_rows(directory, "WHERE key_id = ?", own) == []


async def test_a_key_that_is_hidden_from_an_erasure_holds_it_up(directory: DataDirectory) -> None:
    """Under another id and stream it would have outlived the erasure."""
    person = identified()
    with living(directory) as life:
        await life.record(person)
        own = subject_key(directory, person.stream.text)
        move = "UPDATE stream_keys SET key_id = ?, stream = ? WHERE key_id = ?"
        hidden = (str(uuid4()), f"case/{uuid4()}")
        in_keys(directory, move, *hidden, own)
        with pytest.raises(IntegrityAlarm, match="no key was destroyed"):
            await life.record(act("erasure.executed", person.stream))
        in_keys(directory, move, own, person.stream.text, hidden[0])
        await life.record(act("erasure.executed", person.stream))
        assert key_rows(directory, "WHERE key_id IN (?, ?)", own, hidden[0]) == []


def name(directory: DataDirectory, stream: str, before: str, key_id: str, head: bool) -> None:
    """Have what the person's sealed fields are under, and the head of the stream, name a key."""
    of_class = "WHERE key_id = ? AND key_class = 'subject'"
    keys = (id_bytes(key_id), id_bytes(before))
    in_store(directory, f"UPDATE sealed SET key_id = ? {of_class}", *keys)
    if head:
        to_head = "UPDATE stream_heads SET subject_key = ? WHERE stream = ?"
        in_store(directory, to_head, id_bytes(key_id), stream)
