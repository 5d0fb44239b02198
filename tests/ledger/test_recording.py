"""Recording through the whole ledger: writer process, vault and store, on both databases."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import (
    DuplicateConflict,
    Invalid,
    LedgerError,
    OutOfScope,
    ReservedType,
    VersionConflict,
    WriterLost,
)
from ledger.log.clock import instant
from ledger.log.messages import MAX_FRAME
from ledger.submission import Submission
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.entry import StreamRef, decode
from ledger_verifier.formats.merkle import leaf_hash
from ledger_verifier.formats.proof import LogProof
from tests.ledger.acts import LEWISHAM, act, credential, example, identified

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
AUDITOR = credential(Role.AUDITOR)


# One ledger serves all tests of this module on each database: each test has streams of its own.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened


async def size(ledger: Ledger) -> int:
    # An erasure of an earlier test is verified some time after it.
    await ledger.erasures_verified()
    return int((await ledger.status())["tree_size"])


async def test_a_receipt_proves_the_entry(ledger: Ledger, shared_directory: DataDirectory) -> None:
    submission = identified()
    (recorded,) = await ledger.record(ANY, [submission])
    raw = await ledger.entry(DPO, recorded.position, ACTOR)
    assert leaf_hash(raw) == recorded.leaf_hash
    proof = LogProof.parse(recorded.receipt)
    opened = shared_directory.policy().open(proof.checkpoint)
    proof.verify(recorded.leaf_hash, opened.checkpoint)
    entry = decode(raw)
    assert entry["id"] == submission.id
    assert entry["stream"]["version"] == recorded.version == 1
    assert entry["recorded_at"] == recorded.recorded_at


async def test_every_example_is_recorded_and_retried(ledger: Ledger) -> None:
    from ledger.catalogue import CATALOGUE

    for event_type in CATALOGUE.types():
        submission = example(event_type.type)
        (first,) = await ledger.record(ANY, [submission])
        (again,) = await ledger.record(ANY, [submission])
        assert (first.created, again.created) == (True, False)
        assert replace(again, receipt="", created=True) == replace(first, receipt="")


async def test_what_has_not_happened_yet_is_refused_by_the_writer_too(ledger: Ledger) -> None:
    """The clock that dates an entry decides; a verifier would fail it for good."""
    soon, late = (instant(time.time() + seconds) for seconds in (200, 400))
    before = await size(ledger)
    first, second = identified(), identified()
    for submissions, pointer in (
        ([replace(example("record.consulted"), id=str(uuid4()), time=late)], "/time"),
        ([first, replace(example("record.consulted"), id=str(uuid4()), time=late)], "/1/time"),
        ([replace(second, time=instant(time.time() + 2 * 24 * 3600))], "/time"),
    ):
        with pytest.raises(Invalid) as caught:
            await ledger.record(ANY, submissions)
        assert [field.pointer for field in caught.value.fields] == [pointer]
    assert await size(ledger) == before
    (recorded,) = await ledger.record(
        ANY, [replace(example("record.consulted"), id=str(uuid4()), time=soon)]
    )
    assert recorded.created


async def test_nothing_sealed_is_in_the_entry_and_everything_opens(ledger: Ledger) -> None:
    reasons = f"Fictional reasons {uuid4()}"
    submission = identified()
    submission = replace(submission, data={**submission.data, "reasons": reasons})
    (recorded,) = await ledger.record(ANY, [submission])
    raw = await ledger.entry(DPO, recorded.position, ACTOR)
    assert reasons.encode() not in raw
    opened = await ledger.sealed(DPO, recorded.position, str(uuid4()), "review")
    assert opened["reasons"] == reasons
    assert opened["sch8_condition"] == submission.data.get("sch8_condition")


async def test_same_id_with_other_content_conflicts(ledger: Ledger) -> None:
    submission = identified()
    await ledger.record(ANY, [submission])
    before = await size(ledger)
    changes: list[Submission] = [
        replace(submission, data={**submission.data, "purpose": "safeguarding"}),
        replace(submission, data={**submission.data, "reasons": "Other fictional reasons."}),
        replace(submission, time="2026-01-01T00:00:00.000Z"),
        replace(submission, actor=str(uuid4())),
        replace(submission, stream=StreamRef("case", str(uuid4()))),
        replace(submission, hub="E09000001"),
        replace(submission, organisation="other-council"),
        replace(submission, regime="dpa_part3"),
        act("case.closed", submission.stream, id=submission.id),
    ]
    for change in changes:
        assert change != submission
        with pytest.raises(DuplicateConflict):
            await ledger.record(ANY, [change])
    assert await size(ledger) == before


async def test_two_sources_may_use_one_id(ledger: Ledger) -> None:
    submission = identified()
    await ledger.record(ANY, [submission])
    (other,) = await ledger.record(ANY, [replace(submission, source="other-system")])
    assert other.created
    assert other.version == 2


async def test_expected_version(ledger: Ledger) -> None:
    new = identified(expected_version=0)
    await ledger.record(ANY, [new])
    with pytest.raises(VersionConflict) as caught:
        await ledger.record(ANY, [act("case.closed", new.stream, expected_version=2)])
    assert caught.value.extra == {"current_version": 1}
    with pytest.raises(VersionConflict):
        await ledger.record(ANY, [identified(new.stream, expected_version=0)])
    closed = act("case.closed", new.stream, expected_version=1)
    (recorded,) = await ledger.record(ANY, [closed])
    assert recorded.version == 2
    # The retry of an event recorded before is not held to what it expected then.
    (again,) = await ledger.record(ANY, [closed])
    assert again.position == recorded.position


async def test_a_batch_is_recorded_whole_in_order_or_not_at_all(ledger: Ledger) -> None:
    stream = StreamRef("case", str(uuid4()))
    known = identified(stream)
    await ledger.record(ANY, [known])
    before = await size(ledger)
    batch = [act("case.closed", stream, expected_version=1), identified(expected_version=0), known]
    bad = [
        identified(expected_version=3),
        replace(identified(), data={}),
        replace(known, data={**known.data, "purpose": "safeguarding"}),
        replace(identified(), type="ledger.opened"),
    ]
    for event in bad:
        with pytest.raises(LedgerError) as caught:
            await ledger.record(ANY, [*batch, event])
        assert all(field.pointer.startswith("/3/") for field in caught.value.fields)
        assert caught.value.fields
    assert await size(ledger) == before
    recorded = await ledger.record(ANY, batch)
    assert [r.created for r in recorded] == [True, True, False]
    assert [r.position - before for r in recorded][:2] == [0, 1]
    assert await size(ledger) == before + 2


async def test_a_batch_with_one_event_twice(ledger: Ledger) -> None:
    event = identified()
    one, two = await ledger.record(ANY, [event, event])
    assert one == two
    with pytest.raises(DuplicateConflict):
        await ledger.record(ANY, [event, replace(event, data={**event.data, "reasons": "x"})])


async def test_another_hub_writes_only_what_recipients_may(ledger: Ledger) -> None:
    stream = StreamRef("case", str(uuid4()))
    disclosed = act("data.disclosed", stream)
    await ledger.record(ANY, [identified(stream), disclosed])
    with pytest.raises(OutOfScope):
        await ledger.record(ANY, [act("case.closed", stream, hub="E09000001")])
    acknowledged = act(
        "disclosure.acknowledged", stream, hub="E09000001", organisation="fictional-charity"
    )
    (recorded,) = await ledger.record(ANY, [acknowledged])
    entry = decode(await ledger.entry(DPO, recorded.position, ACTOR))
    category = entry["data"]["recipient_category"]
    assert (entry["source"], entry["organisation"]) == (category, category)
    assert (entry["actor"], entry["submitted_by"]) == (None, None)
    opened = await ledger.sealed(DPO, recorded.position, str(uuid4()), "review")
    assert opened["true_source"] == acknowledged.source
    assert opened["true_organisation"] == "fictional-charity"
    assert opened["true_submitted_by"] == ANY.public_id
    # A retry is found by the true source, and another recipient's event of that id is another.
    (again,) = await ledger.record(ANY, [acknowledged])
    assert again.position == recorded.position
    (other,) = await ledger.record(ANY, [replace(acknowledged, source="another-charity")])
    assert other.created


async def test_reserved_and_unknown_types_and_wrong_streams(ledger: Ledger) -> None:
    for reserved in ("ledger.opened", "schema.registered", "wrapping_key.rotated"):
        with pytest.raises(ReservedType):
            await ledger.record(ANY, [replace(identified(), type=reserved)])
    for change in (
        replace(identified(), type="subject.vanished"),
        replace(identified(), schema=2),
        replace(identified(), stream=StreamRef("hub", str(uuid4()))),
    ):
        with pytest.raises(Invalid):
            await ledger.record(ANY, [change])


async def test_concurrent_retries_of_one_event_record_it_once(ledger: Ledger) -> None:
    event = identified()
    results = await asyncio.gather(*[ledger.record(ANY, [event]) for _ in range(20)])
    assert len({r.position for (r,) in results}) == 1
    assert sum(r.created for (r,) in results) == 1


async def test_concurrent_writers_to_one_stream_make_one_chain(ledger: Ledger) -> None:
    stream = StreamRef("case", str(uuid4()))
    events = [identified(stream) for _ in range(40)]
    results = await asyncio.gather(*[ledger.record(ANY, [event]) for event in events])
    assert sorted(r.version for (r,) in results) == list(range(1, 41))


async def test_expected_version_lets_one_of_many_through(ledger: Ledger) -> None:
    stream = StreamRef("case", str(uuid4()))
    events = [identified(stream, expected_version=0) for _ in range(10)]
    results = await asyncio.gather(
        *[ledger.record(ANY, [event]) for event in events], return_exceptions=True
    )
    assert sum(isinstance(r, VersionConflict) for r in results) == 9


async def test_an_oversized_entry_is_refused_and_nothing_is_lost(ledger: Ledger) -> None:
    before = await size(ledger)
    huge = identified()
    huge = replace(huge, data={**huge.data, "reasons": "x" * (MAX_FRAME // 64)})
    with pytest.raises(LedgerError):
        await ledger.record(ANY, [huge])
    assert await size(ledger) == before
    await ledger.record(ANY, [identified()])


async def test_dates_are_london_dates(ledger: Ledger) -> None:
    # 23:30 UTC in summer is the next day in London.
    (recorded,) = await ledger.record(ANY, [identified(time="2026-06-30T23:30:00.000Z")])
    entry = orjson.loads(await ledger.entry(DPO, recorded.position, ACTOR))
    assert entry["occurred_at"] == "2026-07-01"


async def test_disclosures_are_fresh_each_time(ledger: Ledger) -> None:
    event = identified()
    (one,) = await ledger.record(ANY, [event])
    (two,) = await ledger.record(ANY, [replace(event, id=str(uuid4()))])
    digests = [
        set(decode(await ledger.entry(DPO, r.position, ACTOR))["data"]["_sd"]) for r in (one, two)
    ]
    assert not digests[0] & digests[1]
    assert Disclosure.make("a", 1).digest != Disclosure.make("a", 1).digest


async def test_a_bound_token_records_only_within_its_bounds(ledger: Ledger) -> None:
    bound = credential(
        all=False,
        organisation="lewisham-council",
        hubs=frozenset({LEWISHAM}),
        sources=frozenset({"lewisham-cases"}),
    )
    await ledger.record(bound, [identified()])
    for beyond in (
        identified(organisation="other-council"),
        identified(hub="E09000001"),
        identified(source="other-system"),
    ):
        with pytest.raises(OutOfScope):
            await ledger.record(bound, [beyond])
    with pytest.raises(LedgerError):
        await ledger.record(bound, [act("erasure.executed")])
    with pytest.raises(LedgerError):
        await ledger.record(AUDITOR, [identified()])


async def test_when_the_writer_dies_every_caller_hears_at_once(directory: DataDirectory) -> None:
    async with Ledger.open(directory.path) as ledger:
        await _kill_the_writer(ledger)


async def _kill_the_writer(ledger: Ledger) -> None:
    await ledger.record(ANY, [identified()])
    os.kill(ledger.writer_pid, signal.SIGSTOP)
    waiting = [asyncio.create_task(ledger.record(ANY, [identified()])) for _ in range(10)]
    while ledger.waiting_events != 10:  # noqa: ASYNC110 - they reach the queue one by one
        await asyncio.sleep(0)
    os.kill(ledger.writer_pid, signal.SIGKILL)
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)
    assert all(isinstance(result, WriterLost) for result in results)
    assert ledger.closed.done()
    with pytest.raises(WriterLost):
        await ledger.record(ANY, [identified()])
