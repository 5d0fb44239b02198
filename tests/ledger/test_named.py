"""Ids that two sources use in one stream: what names one of them never means another."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from ledger import named, recording
from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import DuplicateConflict, ErasureBarred, Invalid
from ledger.fsck import check
from ledger.submission import Submission
from ledger_verifier.audit.report.model import Verdict
from tests.ledger.acts import act, credential, identified

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
OTHER = "met-cases"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened
    report = check(shared_directory)
    assert report.verdict is Verdict.VERIFIED, report.failures


def under_id_of(event: Submission, type_name: str = "case.reviewed", **data: Any) -> Submission:
    """Another source's event of the same stream, under the same id."""
    other = act(type_name, event.stream, id=event.id, source=OTHER)
    return replace(other, data={**other.data, **data})


def naming(type_name: str, event: Submission, **data: Any) -> Submission:
    base = act(type_name, event.stream)
    return replace(base, data={**base.data, **data})


def erasure_of(event: Submission, **data: Any) -> Submission:
    some = {"scope": "entries", "erased_events": [event.id]}
    return naming("erasure.executed", event, **{**some, **data})


async def refused(ledger: Ledger, event: Submission, pointer: str, match: str) -> None:
    """Nothing of it may have been recorded."""
    # What the ledger records of an erasure before is not of this.
    await ledger.erasures_verified()
    size = (await ledger.status())["tree_size"]
    with pytest.raises((Invalid, DuplicateConflict), match=match) as caught:
        await ledger.record(DPO, [event])
    assert [field.pointer for field in caught.value.fields] == [pointer]
    assert event.id not in str(caught.value)
    assert (await ledger.status())["tree_size"] == size


async def test_an_erasure_of_an_entry_that_may_be_another_is_refused(ledger: Ledger) -> None:
    person = identified()
    recorded = await ledger.record(ANY, [person, under_id_of(person)])
    before = [await ledger.sealed(DPO, one.position, ACTOR, "review") for one in recorded]
    await refused(ledger, erasure_of(person), "/data/erased_events/0", "erase the whole stream")
    corrected = naming("event.corrected", person, corrected_event=person.id)
    await refused(ledger, corrected, "/data/corrected_event", "cannot be told")
    assert before == [await ledger.sealed(DPO, one.position, ACTOR, "review") for one in recorded]
    await ledger.record(DPO, [act("erasure.executed", person.stream)])
    after = [await ledger.sealed(DPO, one.position, ACTOR, "review") for one in recorded]
    assert not any("reason" in name for fields in after for name in fields)


@pytest.mark.parametrize("name", sorted(named.NAMED))
async def test_what_others_name_has_an_id_of_its_own_in_its_stream(
    ledger: Ledger, name: str
) -> None:
    person = identified()
    contest = naming("accuracy.contested", person, contested_events=[person.id])
    await ledger.record(ANY, [person, contest])
    # What it names itself must be there.
    named_there: dict[str, dict[str, Any]] = {
        "erasure.executed": {"ordered_event": None},
        "accuracy.contested": {"contested_events": [person.id]},
        "rectification.decided": {"contested_event": contest.id},
    }
    data = named_there.get(name, {})
    await refused(ledger, under_id_of(person, name, **data), "/id", "give it a new id")
    # In another stream it means nothing, and under one id of one batch it means the same.
    elsewhere = identified(id=person.id, source=OTHER)
    await ledger.record(ANY, [elsewhere, replace(contest, stream=elsewhere.stream, source=OTHER)])
    first = naming(name, elsewhere, **data)
    if name != "erasure.executed":
        with pytest.raises(DuplicateConflict) as caught:
            await ledger.record(DPO, [under_id_of(first), first])
        assert [field.pointer for field in caught.value.fields] == ["/1/id"]
    await ledger.record(DPO, [first])


async def test_a_hold_is_judged_and_released_whoever_uses_its_id_later(ledger: Ledger) -> None:
    person = identified()
    hold = naming("legal_hold.placed", person, basis="court-order")
    order = naming("erasure.ordered", person, ground="court-order")
    await ledger.record(ANY, [person, hold, order])
    await ledger.record(ANY, [under_id_of(hold), under_id_of(order)])
    erasure = naming("erasure.executed", person, ordered_event=order.id)
    with pytest.raises(ErasureBarred) as caught:
        await ledger.record(DPO, [erasure])
    assert caught.value.extra["reason"] == "court-order"
    release = naming("legal_hold.released", person, placed_event=hold.id)
    # What was recorded before is the same event still, whatever has come since.
    recorded = await ledger.record(DPO, [hold, release])
    assert [one.created for one in recorded] == [False, True]
    await ledger.record(DPO, [erasure])
    state = await ledger.case(DPO, person.stream.id, ACTOR, None)
    assert (state["holds"], len(state["erasures"])) == ([], 1)


@pytest.mark.parametrize(("name", "place"), [("erased_events", "/0"), ("corrected_event", "")])
async def test_whoever_gets_in_between_makes_the_name_be_looked_up_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, name: str, place: str
) -> None:
    person = identified()
    (first,) = await ledger.record(ANY, [person])
    corrected = naming("event.corrected", person, corrected_event=person.id)
    event = erasure_of(person) if name == "erased_events" else corrected
    loop, came = asyncio.get_running_loop(), [under_id_of(person)]

    def then_another(*arguments: Any) -> Mapping[int, int]:
        found = named.check_names(*arguments)
        if came:
            asyncio.run_coroutine_threadsafe(ledger.record(ANY, [came.pop()]), loop).result(30)
        return found

    monkeypatch.setattr(recording, "check_names", then_another)
    with pytest.raises(Invalid) as caught:
        await ledger.record(DPO, [event])
    assert [field.pointer for field in caught.value.fields] == [f"/data/{name}{place}"]
    assert came == []
    assert "reasons" in await ledger.sealed(DPO, first.position, ACTOR, "review")
