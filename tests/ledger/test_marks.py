"""What is contested, decided or about somebody else is opened with that, on both stores."""

import io
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import Forbidden, Invalid
from ledger.submission import Submission
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.entry import StreamRef
from tests.ledger.acts import act, credential, example, identified

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
STATEMENT = "Fictional: I never said no to the mentor."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened


def naming(type_name: str, field: str, event: Submission, **said: Any) -> Submission:
    """An event of a type that names another of its stream."""
    base = example(type_name)
    named: Any = [event.id] if field.endswith("s") else event.id
    return act(type_name, event.stream, data={**base.data, **said, field: named})


def contest_of(event: Submission) -> Submission:
    return naming("accuracy.contested", "contested_events", event)


async def opened(ledger: Ledger, position: int, role: Role = Role.DPO) -> Any:
    return await ledger.open_entry(credential(role), position, ACTOR, "rectification")


async def test_an_entry_is_opened_with_what_the_person_says_of_it(ledger: Ledger) -> None:
    person = identified()
    contest = contest_of(person)
    first, _ = await ledger.record(ANY, [person, contest])
    found = await opened(ledger, first.position)
    assert found.fields["reasons"] == person.data["reasons"]
    assert found.marks == {
        "disputed": True,
        "contests": [
            {
                "event": contest.id,
                "contested_on": "2026-03-04",
                "decision_due": "2026-04-04",
                "disputed_until": None,
                "decided_event": None,
                "decided_on": None,
                "gone": [],
                "statement": STATEMENT,
            }
        ],
        "corrections": [],
    }
    # What was opened of the other entry is in the consultation, too.
    feed, _, _ = await ledger.feed(DPO, types=frozenset({"record.consulted"}), limit=1000)
    last = orjson.loads(feed[-1][1])
    assert last["stream"] == {**last["stream"], "kind": "access", "id": person.stream.id}
    seen = await ledger.sealed(DPO, feed[-1][0], ACTOR, "inspection")
    assert {"statement", "reasons"} <= set(seen["fields_opened"])


async def test_a_decision_ends_the_dispute_and_is_shown(ledger: Ledger) -> None:
    person = identified()
    contest = contest_of(person)
    first, _ = await ledger.record(ANY, [person, contest])
    decision = naming("rectification.decided", "contested_event", contest)
    await ledger.record(ANY, [decision])
    marks = (await opened(ledger, first.position)).marks
    assert not marks["disputed"]
    (shown,) = marks["contests"]
    assert (shown["decided_event"], shown["decided_on"]) == (decision.id, "2026-03-10")
    assert shown["outcome"] == "rectified"
    assert shown["right_value"] == "Fictional: the offer was accepted."
    assert "reasons" not in shown


async def test_who_received_the_data_is_owed_word_of_what_changed(ledger: Ledger) -> None:
    share = act("data.disclosed")
    contest = contest_of(share)
    first, _ = await ledger.record(ANY, [share, contest])

    async def shown(role: Role = Role.DPO) -> Any:
        (contested,) = (await opened(ledger, first.position, role)).marks["contests"]
        return contested

    refused = naming("rectification.decided", "contested_event", contest, outcome="refused")
    await ledger.record(ANY, [refused])
    assert "untold" not in await shown()
    decision = naming("rectification.decided", "contested_event", contest)
    await ledger.record(ANY, [decision])
    assert (await shown())["untold"] == [share.data["disclosure_id"]]
    # Whoever may not open the outcome does not learn by this that something changed.
    assert not {"outcome", "untold"} & set(await shown(Role.AUDITOR))
    await ledger.record(ANY, [naming("rectification.notified", "decided_event", decision)])
    assert (await shown())["untold"] == []


async def test_who_may_not_open_what_was_said_sees_that_it_is_disputed(ledger: Ledger) -> None:
    share = act("data.disclosed")
    recorded = await ledger.record(ANY, [share, contest_of(share)])
    found = await opened(ledger, recorded[0].position, Role.AUDITOR)
    assert "recipient_organisation" in found.fields
    assert found.marks["disputed"]
    assert "statement" not in found.marks["contests"][0]


async def test_an_entry_that_nobody_contests_has_no_marks(ledger: Ledger) -> None:
    person = identified()
    other = act("case.closed", person.stream)
    _, second, _ = await ledger.record(ANY, [person, other, contest_of(person)])
    marks = (await opened(ledger, second.position)).marks
    assert marks == {"disputed": False, "contests": [], "corrections": []}


async def test_a_contest_whose_words_were_erased_still_marks(ledger: Ledger) -> None:
    person = identified()
    contest = contest_of(person)
    first, second = await ledger.record(ANY, [person, contest])
    order = act("erasure.ordered", person.stream)
    await ledger.record(credential(Role.COORDINATOR), [order])
    base = example("erasure.executed")
    said = {"scope": "entries", "erased_events": [contest.id], "ordered_event": order.id}
    await ledger.record(DPO, [act("erasure.executed", person.stream, data={**base.data, **said})])
    found = await opened(ledger, first.position)
    assert found.fields["reasons"] == person.data["reasons"]
    assert found.marks["disputed"]
    (contested,) = found.marks["contests"]
    assert "statement" not in contested
    assert contested["gone"] == ["statement"]
    itself = await opened(ledger, second.position)
    assert (itself.fields, set(itself.shown.gone)) == ({}, {"contested_by", "statement"})


async def test_names_are_of_the_same_stream_and_the_right_type(ledger: Ledger) -> None:
    person, stranger = identified(), identified()
    await ledger.record(ANY, [person, stranger])
    elsewhere = {"contested_events": [stranger.id]}
    contest = act(
        "accuracy.contested",
        person.stream,
        data={**example("accuracy.contested").data, **elsewhere},
    )
    with pytest.raises(Invalid) as refused:
        await ledger.record(ANY, [contest])
    assert refused.value.fields[0].pointer == "/data/contested_events/0"
    with pytest.raises(Invalid) as refused:
        await ledger.record(ANY, [naming("rectification.decided", "contested_event", person)])
    assert refused.value.fields[0].pointer == "/data/contested_event"
    submitter = credential(
        all=False,
        organisation=person.organisation,
        hubs=frozenset({person.hub}),
        sources=frozenset({person.source}),
    )
    with pytest.raises(Forbidden):
        await ledger.record(
            submitter, [naming("entry.misattributed", "misattributed_event", person)]
        )


async def pack(ledger: Ledger, stream: StreamRef, audience: str, at: int | None = None) -> set[str]:
    """Names of what a pack opens."""
    named = {} if audience == "subject" else {"recipient": "fictional-body"}
    raw = await ledger.bundle(
        DPO, stream, audience, actor=ACTOR, purpose="rights-request", at=at, **named
    )
    reader = BundleReader(io.BytesIO(raw))
    lines = [
        line
        for name in reader.names
        if name.startswith("disclosures/")
        for line in reader.read(name, 1 << 20).decode().split()
    ]
    return {Disclosure.parse(line).name for line in lines}


async def test_a_persons_pack_opens_nothing_that_is_about_somebody_else(ledger: Ledger) -> None:
    person = identified()
    wrong = act("record.altered", person.stream)
    await ledger.record(ANY, [person, wrong])
    before = (await ledger.status())["tree_size"]
    checkpoint = await ledger.checkpoint()
    size = int(checkpoint.split(b"\n")[1])
    assert size >= before
    assert "after" in await pack(ledger, person.stream, "subject")
    mark = naming("entry.misattributed", "misattributed_event", wrong)
    await ledger.record(DPO, [mark])
    assert "after" not in await pack(ledger, person.stream, "subject")
    # What is said of that other person is not opened either.
    assert not {"cause", "other_person"} & await pack(ledger, person.stream, "subject")
    assert {"cause", "other_person"} <= await pack(ledger, person.stream, "inspector")
    assert "reasons" in await pack(ledger, person.stream, "subject")
    # Nor one of how it was before that was known.
    assert "after" not in await pack(ledger, person.stream, "subject", at=size)
    assert "after" in await pack(ledger, person.stream, "inspector")
    correction = naming("event.corrected", "corrected_event", mark)
    await ledger.record(ANY, [correction])
    assert "after" in await pack(ledger, person.stream, "subject")


async def test_what_is_named_is_the_first_event_of_an_id(ledger: Ledger) -> None:
    """Another source may use the id later: what it records is neither hidden nor disputed."""
    person = identified()
    wrong = act("record.altered", person.stream)
    mark = naming("entry.misattributed", "misattributed_event", wrong)
    await ledger.record(DPO, [person, wrong, mark, contest_of(wrong)])
    later = act("record.altered", person.stream, id=wrong.id, source="other-system")
    (recorded,) = await ledger.record(ANY, [later])
    assert "after" in await pack(ledger, person.stream, "subject")
    assert (await opened(ledger, recorded.position)).marks == {
        "disputed": False,
        "contests": [],
        "corrections": [],
    }


async def test_what_corrects_an_entry_is_shown_with_it(ledger: Ledger) -> None:
    person = identified()
    wrong = act("record.altered", person.stream)
    _, second = await ledger.record(ANY, [person, wrong])
    mark = naming("entry.misattributed", "misattributed_event", wrong)
    await ledger.record(DPO, [mark])
    marks = (await opened(ledger, second.position)).marks
    assert marks["corrections"] == [
        {"event": mark.id, "type": "entry.misattributed", "corrected_on": "2026-03-17"}
    ]
    await ledger.record(ANY, [naming("event.corrected", "corrected_event", mark)])
    assert (await opened(ledger, second.position)).marks["corrections"] == []


async def test_the_state_of_the_case_says_what_is_disputed(ledger: Ledger) -> None:
    person = identified()
    await ledger.record(ANY, [person, contest_of(person)])
    state = await ledger.case(DPO, person.stream.id, ACTOR, None)
    assert state["disputed"] == [person.id]
    assert state["contests"][0]["decided_on"] is None
