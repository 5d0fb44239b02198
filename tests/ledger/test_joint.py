"""Joint files on a real ledger: other people in a case, cases merged, a case split."""

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import Forbidden, Invalid
from ledger.fsck import check
from ledger.submission import Submission
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.entry import StreamRef, link_hash
from tests.ledger.acts import act, credential, example, identified

pytestmark = pytest.mark.asyncio(loop_scope="module")

DPO = credential(Role.DPO)
ANY = credential()
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened
    report = check(shared_directory)
    assert report.verdict is Verdict.VERIFIED, report.failures


def saying(type_name: str, stream: StreamRef | None = None, **data: Any) -> Submission:
    """A new event whose data says this."""
    return act(type_name, stream, data={**example(type_name).data, **data})


async def a_case(
    ledger: Ledger, *categories: str, closed: bool = True, **changes: Any
) -> StreamRef:
    """The stream of a new case, of a person of these categories, closed."""
    opens = saying("subject.identified", subject_category=list(categories or ("at-risk",)))
    opens = replace(opens, **changes)
    events = [opens]
    if closed:
        events.append(replace(saying("case.closed", opens.stream, reason="merged"), **changes))
    await ledger.record(ANY, events)
    return opens.stream


def merge(cases: Sequence[StreamRef], stream: StreamRef | None = None) -> Submission:
    return saying("cases.merged", stream, merged_cases=[case.id for case in cases])


async def merged(ledger: Ledger, event: Submission) -> dict[str, Any]:
    """What a merge seals, once it is recorded."""
    (recorded,) = await ledger.record(DPO, [event])
    return await ledger.sealed(DPO, recorded.position, ACTOR, "review")


async def refused(ledger: Ledger, events: Sequence[Submission], pointer: str) -> str:
    size = (await ledger.status())["tree_size"]
    with pytest.raises(Invalid) as caught:
        await ledger.record(DPO, events)
    assert [field.pointer for field in caught.value.fields] == [pointer]
    assert (await ledger.status())["tree_size"] == size
    return f"{caught.value.detail} {caught.value.fields[0].reason}"


async def last_link(ledger: Ledger, stream: StreamRef) -> str:
    found, _, _ = await ledger.feed(DPO, limit=1000)
    (raw,) = [raw for _, raw in found if stream.id.encode() in raw and b'"case.closed"' in raw]
    return link_hash(raw).hex()


async def test_closed_cases_go_on_in_a_new_one_and_nothing_open_joins_them(
    ledger: Ledger,
) -> None:
    cases = [await a_case(ledger), await a_case(ledger)]
    event = merge(cases)
    (recorded,) = await ledger.record(DPO, [event])
    sealed = await ledger.sealed(DPO, recorded.position, ACTOR, "review")
    assert sealed["merged_cases"] == [case.id for case in cases]
    assert sealed["merged_heads"] == [await last_link(ledger, case) for case in cases]
    assert sealed["victim_with_suspect"] is False
    raw = await ledger.entry(DPO, recorded.position, ACTOR)
    assert not any(case.id.encode() in raw for case in cases)
    state = await ledger.case(DPO, event.stream.id, ACTOR, None)
    assert (state["status"], state["merged_on"]) == ("merged", "2026-04-01")
    assert (state["review_due"], state["identified_on"]) == ("2026-07-01", None)
    for case in cases:
        assert (await ledger.case(DPO, case.id, ACTOR, None))["status"] == "closed"
    # A retry is the same event, whatever was added to it.
    (again,) = await ledger.record(DPO, [event])
    assert (again.position, again.created) == (recorded.position, False)


async def test_what_is_not_there_and_what_is_anothers_are_refused_alike(ledger: Ledger) -> None:
    own = await a_case(ledger)
    there = await a_case(ledger, hub="E09000012")
    others = await a_case(ledger, organisation="another-council")
    nowhere = StreamRef("case", str(uuid4()))
    said = {
        await refused(ledger, [merge([own, case])], "/data/merged_cases/1")
        for case in (there, others, nowhere)
    }
    assert len(said) == 1
    moved = identified(own)
    await ledger.record(ANY, [moved])
    for case in (there, others, nowhere):
        split = saying("case.split", own, moved_events=[moved.id], moved_to=case.id)
        said.add(await refused(ledger, [split], "/data/moved_to"))
        party = saying("party.recorded", in_case=case.id)
        said.add(await refused(ledger, [party], "/data/in_case"))
    assert len(said) == 1


async def test_a_case_is_closed_first_and_a_merge_opens_its_stream(ledger: Ledger) -> None:
    closed, live = await a_case(ledger), await a_case(ledger, closed=False)
    await refused(ledger, [merge([closed, live])], "/data/merged_cases/1")
    # Closed in the same batch is not closed before.
    closing = saying("case.closed", live, reason="merged")
    await refused(ledger, [closing, merge([closed, live])], "/1/data/merged_cases/1")
    await refused(ledger, [merge([closed], live)], "/subject")
    stream = StreamRef("case", str(uuid4()))
    both = [merge([closed], stream), identified(stream)]
    await refused(ledger, both, "/0/subject")
    await ledger.record(ANY, [closing])
    assert (await merged(ledger, merge([closed, live], stream)))["victim_with_suspect"] is False
    # Opened again, it is not closed.
    again = await a_case(ledger)
    await ledger.record(ANY, [identified(again)])
    await refused(ledger, [merge([again], stream)], "/data/merged_cases/0")


async def test_a_merge_and_a_split_are_for_a_coordinator_or_a_dpo(ledger: Ledger) -> None:
    bound: dict[str, Any] = {
        "all": False,
        "organisation": "lewisham-council",
        "hubs": frozenset({"E09000023"}),
        "sources": frozenset({"lewisham-cases"}),
    }
    case = await a_case(ledger)
    split = saying("case.split", case, moved_events=[str(uuid4())], moved_to=case.id)
    for event in (merge([case]), split):
        with pytest.raises(Forbidden):
            await ledger.record(credential(**bound), [event])
    await ledger.record(credential(Role.COORDINATOR, **bound), [merge([case])])


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (("victim",), ("suspect",), True),
        (("convicted",), ("at-risk", "victim"), True),
        (("victim", "suspect"), ("victim",), True),
        (("victim",), ("victim",), False),
        (("suspect",), ("convicted", "contact"), False),
        (("victim", "suspect"), ("at-risk",), False),
    ],
)
async def test_a_victims_case_merged_with_a_suspects_is_found(
    ledger: Ledger, one: tuple[str, ...], other: tuple[str, ...], found: bool
) -> None:
    cases = [await a_case(ledger, *one), await a_case(ledger, *other)]
    assert (await merged(ledger, merge(cases)))["victim_with_suspect"] is found


async def test_what_was_last_said_of_the_person_counts(ledger: Ledger) -> None:
    suspect, victim = await a_case(ledger, "suspect"), await a_case(ledger, "suspect")
    review = saying("case.reviewed", victim, subject_category=["victim"])
    await ledger.record(ANY, [review])
    assert (await merged(ledger, merge([suspect, victim])))["victim_with_suspect"] is True
    await ledger.record(ANY, [saying("event.corrected", victim, corrected_event=review.id)])
    assert (await merged(ledger, merge([suspect, victim])))["victim_with_suspect"] is False


async def test_a_case_that_is_merged_later_is_held_against_those_before(ledger: Ledger) -> None:
    victim, other, suspect = [
        await a_case(ledger, category) for category in ("victim", "at-risk", "suspect")
    ]
    first = merge([victim, other])
    assert (await merged(ledger, first))["victim_with_suspect"] is False
    later = await merged(ledger, merge([suspect], first.stream))
    assert later["victim_with_suspect"] is True
    assert len(later["merged_heads"]) == 1


async def test_merges_at_once_are_held_against_each_other(ledger: Ledger) -> None:
    victim, suspect = await a_case(ledger, "victim"), await a_case(ledger, "suspect")
    stream = StreamRef("case", str(uuid4()))
    both = await asyncio.gather(
        *(merged(ledger, merge([case], stream)) for case in (victim, suspect))
    )
    assert sorted(one["victim_with_suspect"] for one in both) == [False, True]


async def test_what_is_erased_cannot_be_told(ledger: Ledger) -> None:
    victim, suspect = await a_case(ledger, "victim"), await a_case(ledger, "suspect")
    await ledger.record(DPO, [act("erasure.executed", victim)])
    closing = saying("case.closed", victim, reason="merged")
    await ledger.record(ANY, [closing])
    event = merge([victim, suspect])
    assert (await merged(ledger, event))["victim_with_suspect"] is None
    # Where the cases themselves are erased that are merged, so is which they were.
    await ledger.record(DPO, [act("erasure.executed", event.stream)])
    later = await merged(ledger, merge([suspect], event.stream))
    assert later["victim_with_suspect"] is None
    await ledger.erasures_verified()


async def pack(ledger: Ledger, stream: StreamRef, audience: str = "subject") -> set[str]:
    """Names of what a pack opens."""
    recipient = None if audience == "subject" else "fictional-body"
    raw = await ledger.bundle(
        DPO, stream, audience, actor=ACTOR, purpose="rights-request", recipient=recipient
    )
    reader = BundleReader(io.BytesIO(raw))
    return {
        Disclosure.parse(line).name
        for name in reader.names
        if name.startswith("disclosures/")
        for line in reader.read(name, 1 << 20).decode().split()
    }


async def test_what_a_split_moves_is_anothers_and_so_is_where_it_went(ledger: Ledger) -> None:
    stays, goes = await a_case(ledger, closed=False), await a_case(ledger, closed=False)
    moved = [saying("subject.notified", stays), saying("record.altered", stays)]
    _, second = await ledger.record(ANY, moved)
    assert (await ledger.case(DPO, stays.id, ACTOR, None))["informed"] is True
    assert {"after", "text_given"} <= await pack(ledger, stays)
    split = saying("case.split", stays, moved_events=[one.id for one in moved], moved_to=goes.id)
    (recorded,) = await ledger.record(DPO, [split])
    assert goes.id.encode() not in await ledger.entry(DPO, recorded.position, ACTOR)
    state = await ledger.case(DPO, stays.id, ACTOR, None)
    assert state["informed"] is False
    assert not {"after", "text_given", "moved_to"} & await pack(ledger, stays)
    assert {"after", "text_given", "moved_to"} <= await pack(ledger, stays, "inspector")
    opened = await ledger.open_entry(DPO, second.position, ACTOR, "review")
    assert [one["event"] for one in opened.marks["corrections"]] == [split.id]
    # It was no such case after all.
    await ledger.record(ANY, [saying("event.corrected", stays, corrected_event=split.id)])
    assert (await ledger.case(DPO, stays.id, ACTOR, None))["informed"] is True
    assert {"after", "text_given"} <= await pack(ledger, stays)


async def test_a_party_is_told_nothing_of_whose_case_it_is(ledger: Ledger) -> None:
    case = await a_case(ledger, closed=False)
    party = saying("party.recorded", in_case=case.id)
    (recorded,) = await ledger.record(ANY, [party])
    assert case.id.encode() not in await ledger.entry(DPO, recorded.position, ACTOR)
    opened = await pack(ledger, party.stream)
    assert {"name", "relation", "detail"} <= opened
    assert not {"in_case", "in_case_as"} & opened
    assert {"in_case", "in_case_as"} <= await pack(ledger, party.stream, "inspector")


@pytest.mark.parametrize("first", ["case", "party"])
async def test_either_is_erased_without_the_other(ledger: Ledger, first: str) -> None:
    case = await a_case(ledger, closed=False)
    party = saying("party.recorded", in_case=case.id)
    await ledger.record(ANY, [party])
    gone, kept = (case, party.stream) if first == "case" else (party.stream, case)
    await ledger.record(DPO, [act("erasure.executed", gone)])
    await ledger.erasures_verified()
    assert "name" not in await pack(ledger, gone)
    assert "name" in await pack(ledger, kept)
