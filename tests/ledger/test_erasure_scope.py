"""What an erasure reaches: some entries of a stream, or all the streams of one person at once."""

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from uuid import uuid4

import pytest

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import ErasureBarred, ErasurePending, Invalid, NothingToErase
from ledger.fsck import check
from ledger.store import open_store
from ledger.submission import Submission
from ledger.vault.keystore import KeyStore
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.entry import StreamRef, decode
from tests.ledger.acts import act, credential, identified
from tests.ledger.copies import in_store, key_rows

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"


@pytest.fixture
async def ledger(directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(directory.path) as opened:
        yield opened


def erasure_of(*events: Submission) -> Submission:
    """An erasure of these events of one stream alone."""
    whole = act("erasure.executed", events[0].stream)
    named = {"scope": "entries", "erased_events": [event.id for event in events]}
    return replace(whole, data={**whole.data, **named})


async def test_one_entrys_fields_go_and_the_rest_opens_under_a_new_key(
    ledger: Ledger, directory: DataDirectory
) -> None:
    stream = StreamRef("case", str(uuid4()))
    events = [identified(stream), act("support.offered", stream), act("case.closed", stream)]
    recorded = await ledger.record(ANY, events)
    before = [await ledger.sealed(DPO, one.position, ACTOR, "review") for one in recorded]
    (old,) = key_rows(directory, "WHERE stream = ? AND key_class = 'subject'", stream.text)
    (erased,) = await ledger.record(DPO, [erasure_of(events[1])])
    data = decode(await ledger.entry(DPO, erased.position, ACTOR))["data"]
    assert (data["key_ids"], data["through"], data["versions"]) == ([old[0]], 0, [2])
    assert await ledger.sealed(DPO, recorded[0].position, ACTOR, "review") == before[0]
    assert await ledger.sealed(DPO, recorded[2].position, ACTOR, "review") == before[2]
    left = await ledger.sealed(DPO, recorded[1].position, ACTOR, "review")
    assert left.keys() < before[1].keys()
    (new,) = key_rows(directory, "WHERE stream = ? AND key_class = 'subject'", stream.text)
    assert new[0] != old[0]
    assert key_rows(directory, "WHERE key_id = ?", old[0]) == []
    # What follows is sealed under the same key as what was kept.
    (later,) = await ledger.record(ANY, [act("case.reviewed", stream)])
    with closing(open_store(directory.database)) as store:
        rows = store.sealed([recorded[0].position, later.position])
        assert {row.key_id for row in rows if row.key_class == "subject"} == {new[0]}
    state = await ledger.case(DPO, stream.id, ACTOR, None)
    assert [one["versions"] for one in state["erasures"]] == [[2]]
    assert state["status"] == "closed"
    report = check(directory)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.checked["erased"] == 1
    # The whole of it can be erased afterwards.
    await ledger.record(DPO, [act("erasure.executed", stream)])
    assert await ledger.sealed(DPO, recorded[0].position, ACTOR, "review") == {}
    assert check(directory).verdict is Verdict.VERIFIED


async def test_the_last_entrys_fields_go(ledger: Ledger, directory: DataDirectory) -> None:
    person = identified()
    (first,) = await ledger.record(ANY, [person])
    await ledger.record(DPO, [erasure_of(person)])
    assert await ledger.sealed(DPO, first.position, ACTOR, "review") == {}
    with pytest.raises(NothingToErase):
        await ledger.record(DPO, [erasure_of(person)])
    with pytest.raises(NothingToErase):
        await ledger.record(DPO, [act("erasure.executed", person.stream)])
    (later,) = await ledger.record(ANY, [act("case.closed", person.stream)])
    assert "reason" in await ledger.sealed(DPO, later.position, ACTOR, "review")
    (again,) = await ledger.record(ANY, [person])
    assert again.position == first.position
    assert check(directory).verdict is Verdict.VERIFIED


async def test_only_entries_of_the_stream_are_named(ledger: Ledger) -> None:
    person, other = identified(), identified()
    await ledger.record(ANY, [person, other])
    with pytest.raises(Invalid) as caught:
        await ledger.record(DPO, [erasure_of(person, other)])
    assert [field.pointer for field in caught.value.fields] == ["/data/erased_events/1"]
    for scope, named in (("stream", [person.id]), ("entries", None)):
        wrong = erasure_of(person)
        wrong = replace(wrong, data={**wrong.data, "scope": scope, "erased_events": named})
        with pytest.raises(Invalid, match="declares"):
            await ledger.record(DPO, [wrong])


async def test_keys_that_could_not_be_changed_are_changed_at_the_next_start(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = identified()
    closed = act("case.closed", person.stream)
    erasure = erasure_of(person)

    def fail(*_: object, **__: object) -> None:
        raise OSError("the key store's disk is gone")

    async with Ledger.open(directory.path) as ledger:
        first, second = await ledger.record(ANY, [person, closed])
        with monkeypatch.context() as broken:
            broken.setattr(KeyStore, "destroy", fail)
            with pytest.raises(ErasurePending):
                await ledger.record(DPO, [erasure])
    # What is kept is under a key that is not yet the stream's own: that is no defect.
    told = [failure.reason for failure in check(directory).failures]
    assert told == ["this erasure is not carried out yet: its keys are still in the key store"]
    async with Ledger.open(directory.path) as ledger:
        assert "reason" in await ledger.sealed(DPO, second.position, ACTOR, "review")
        assert await ledger.sealed(DPO, first.position, ACTOR, "review") == {}
        await ledger.record(ANY, [act("case.reviewed", person.stream)])
        (again,) = await ledger.record(DPO, [erasure])
        assert not again.created
    assert check(directory).verdict is Verdict.VERIFIED


async def test_an_erasure_right_after_another_keeps_what_both_keep(
    ledger: Ledger, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is recorded, and its keys are not changed yet."""
    person = identified()
    events = [person, act("support.offered", person.stream), act("case.closed", person.stream)]
    recorded = await ledger.record(ANY, events)
    before = await ledger.sealed(DPO, recorded[2].position, ACTOR, "review")

    def fail(*_: object, **__: object) -> None:
        raise OSError("the key store's disk is busy")

    with monkeypatch.context() as broken:
        broken.setattr(KeyStore, "destroy", fail)
        with pytest.raises(ErasurePending):
            await ledger.record(DPO, [erasure_of(events[0])])
    (second,) = await ledger.record(DPO, [erasure_of(events[1])])
    assert second.created
    assert await ledger.sealed(DPO, recorded[2].position, ACTOR, "review") == before
    for gone in recorded[:2]:
        left = await ledger.sealed(DPO, gone.position, ACTOR, "review")
        assert "reasons" not in left
    await ledger.erasures_verified()
    assert check(directory).verdict is Verdict.VERIFIED


async def test_a_key_made_for_an_erasure_that_was_not_recorded_goes_with_the_stream(
    ledger: Ledger, directory: DataDirectory
) -> None:
    person = identified()
    await ledger.record(ANY, [person, act("case.closed", person.stream)])
    await ledger._recorder._keys.next_key(person.stream.text)
    assert len(key_rows(directory, "WHERE stream = ?", person.stream.text)) == 2
    assert check(directory).verdict is Verdict.VERIFIED
    await ledger.record(DPO, [act("erasure.executed", person.stream)])
    (left,) = key_rows(directory, "WHERE stream = ?", person.stream.text)
    assert left[2] == "attribution"


async def test_a_row_of_what_is_kept_removed_by_hand_is_reported(
    ledger: Ledger, directory: DataDirectory
) -> None:
    person, closed = identified(), act("case.closed")
    closed = replace(closed, stream=person.stream)
    first, second = await ledger.record(ANY, [person, closed])
    await ledger.record(DPO, [erasure_of(person)])
    in_store(directory, "DELETE FROM sealed WHERE position = ?", second.position)
    report = check(directory)
    assert report.verdict is Verdict.FAILED
    assert second.position in {failure.position for failure in report.failures}
    assert first.position not in {failure.position for failure in report.failures}


async def test_a_persons_streams_are_erased_together_or_not_at_all(
    ledger: Ledger, directory: DataDirectory
) -> None:
    people = [identified() for _ in range(3)]
    await ledger.record(ANY, people)
    await ledger.record(ANY, [act("legal_hold.placed", people[1].stream)])
    base = act("erasure.executed")
    erasures = [
        replace(base, id=str(uuid4()), stream=one.stream, data={**base.data, "scope": "person"})
        for one in people
    ]
    size = (await ledger.status())["tree_size"]
    with pytest.raises(ErasureBarred) as caught:
        await ledger.record(DPO, erasures)
    assert [field.pointer for field in caught.value.fields] == ["/1/subject"]
    assert (await ledger.status())["tree_size"] == size
    with closing(open_store(directory.database)) as store:
        hold = decode(store.stream(people[1].stream.text)[-1].raw)["id"]
    released = act("legal_hold.released", people[1].stream)
    await ledger.record(ANY, [replace(released, data={**released.data, "placed_event": hold})])
    recorded = await ledger.record(DPO, erasures)
    # One transaction; and nothing in the open that one has in common with another but the act.
    entries = [decode(await ledger.entry(DPO, one.position, ACTOR)) for one in recorded]
    assert len({entry["recorded_at"] for entry in entries}) == 1
    ids: list[str] = []
    for entry in entries:
        data = entry["data"]
        ids += [entry["id"], entry["nonce"], entry["stream"]["id"], *data["key_ids"], *data["_sd"]]
    assert len(set(ids)) == len(ids)
    with closing(open_store(directory.database)) as store:
        for one in people:
            positions = [entry.position for entry in store.stream(one.stream.text)]
            assert not [r for r in store.sealed(positions) if r.key_class == "subject"]
    assert check(directory).verdict is Verdict.VERIFIED
