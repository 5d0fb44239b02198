"""Reading through the whole ledger: what each caller sees, and that reading is itself recorded."""

import io
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
    ActorRequired,
    BeyondTheLog,
    FieldError,
    Forbidden,
    NotFound,
    PurposeRequired,
)
from ledger.submission import Recorded
from ledger_verifier.audit.case import verify_case
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.entry import StreamRef, decode
from ledger_verifier.formats.proof import LogProof
from ledger_verifier.formats.tiles import Tile, decode_entries
from ledger_verifier.meaning.case import CaseState, fold
from tests.ledger.acts import act, credential, identified

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
DPO = credential(Role.DPO)
AUDITOR = credential(Role.AUDITOR)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened


async def a_case(ledger: Ledger, hub: str = "E09000023") -> tuple[StreamRef, list[Recorded]]:
    stream = StreamRef("case", str(uuid4()))
    events = [
        identified(stream, hub=hub),
        act("subject.notified", stream, hub=hub),
        act("data.disclosed", stream, hub=hub),
        act("case.closed", stream, hub=hub),
    ]
    return stream, await ledger.record(ANY, events)


async def consultations(ledger: Ledger, stream: StreamRef) -> list[dict[str, object]]:
    found, _, _ = await ledger.feed(DPO, types=frozenset({"record.consulted"}), limit=1000)
    entries = [orjson.loads(raw) for _, raw in found]
    return [entry for entry in entries if entry["stream"]["id"] == stream.id]


async def test_a_case_is_the_fold_of_its_entries_at_every_size(ledger: Ledger) -> None:
    stream, recorded = await a_case(ledger)
    state: CaseState | None = None
    for one in recorded:
        state = fold(state, decode(await ledger.entry(DPO, one.position, ACTOR)))
        seen = await ledger.case(DPO, stream.id, ACTOR, one.position + 1)
        assert seen == state.to_json() | {"last_position": one.position}
    assert await ledger.case(DPO, stream.id, ACTOR, None) == seen
    with pytest.raises(NotFound):
        await ledger.case(DPO, stream.id, ACTOR, recorded[0].position)


async def test_a_case_is_not_told_of_as_it_will_be(ledger: Ledger) -> None:
    stream, _ = await a_case(ledger)
    size = int((await ledger.status())["tree_size"])
    with pytest.raises(BeyondTheLog) as refused:
        await ledger.case(DPO, stream.id, ACTOR, size + 1)
    assert refused.value.fields == (FieldError("?at", "is more than tree_size"),)
    assert refused.value.extra == {"tree_size": size}
    assert await consultations(ledger, stream) == []
    await ledger.case(DPO, stream.id, ACTOR, size)


async def test_reading_a_case_is_recorded_first(ledger: Ledger) -> None:
    stream, _ = await a_case(ledger)
    with pytest.raises(ActorRequired):
        await ledger.case(DPO, stream.id, None, None)
    assert await consultations(ledger, stream) == []
    await ledger.case(DPO, stream.id, ACTOR, None)
    (consulted,) = await consultations(ledger, stream)
    assert (consulted["actor"], consulted["submitted_by"]) == (ACTOR, DPO.public_id)
    machine = credential(Role.DPO, machine=True)
    await ledger.case(machine, stream.id, None, None)
    assert len(await consultations(ledger, stream)) == 2


async def test_unknown_and_forbidden_cases_are_one(ledger: Ledger) -> None:
    stream, recorded = await a_case(ledger)
    elsewhere = credential(
        Role.COORDINATOR,
        all=False,
        organisation="other-council",
        hubs=frozenset({"E09000001"}),
        sources=frozenset({"other"}),
    )
    for case_id in (stream.id, str(uuid4())):
        with pytest.raises(NotFound):
            await ledger.case(elsewhere, case_id, ACTOR, None)
        with pytest.raises(NotFound):
            await ledger.bundle(elsewhere, StreamRef("case", case_id), actor=ACTOR)
    for position in (recorded[0].position, 10**9):
        with pytest.raises(NotFound):
            await ledger.entry(elsewhere, position)
        with pytest.raises(NotFound):
            await ledger.receipt(elsewhere, position)
        with pytest.raises(NotFound):
            await ledger.sealed(elsewhere, position, ACTOR, "review")
    assert await consultations(ledger, stream) == []


async def test_receipts_of_old_entries_verify(
    ledger: Ledger, shared_directory: DataDirectory
) -> None:
    _, recorded = await a_case(ledger)
    for one in recorded:
        proof = LogProof.parse(await ledger.receipt(DPO, one.position))
        opened = shared_directory.policy().open(proof.checkpoint)
        proof.verify(one.leaf_hash, opened.checkpoint)


async def test_the_feed_goes_on_from_where_it_was(ledger: Ledger) -> None:
    _, recorded = await a_case(ledger)
    positions: list[int] = []
    after = -1
    while True:
        page, after, size = await ledger.feed(DPO, after, 3)
        positions += [position for position, _ in page]
        if after == size - 1:
            break
    assert positions == list(range(size))
    page, _, _ = await ledger.feed(DPO, recorded[0].position - 1, 10, frozenset({"case.closed"}))
    assert [p for p, _ in page] == [recorded[3].position]
    hub_page, _, _ = await ledger.feed(DPO, -1, 1000, None, "E09000001")
    assert hub_page == []
    with pytest.raises(Forbidden):
        await ledger.feed(credential(Role.OPERATOR))


async def test_sealed_fields_need_a_purpose_and_a_right(ledger: Ledger) -> None:
    stream, recorded = await a_case(ledger)
    position = recorded[2].position
    for purpose in (None, "curiosity"):
        with pytest.raises(PurposeRequired):
            await ledger.sealed(DPO, position, ACTOR, purpose)
    with pytest.raises(Forbidden):
        await ledger.sealed(ANY, position, ACTOR, "review")
    assert await consultations(ledger, stream) == []
    everything = await ledger.sealed(DPO, position, ACTOR, "review")
    attribution = await ledger.sealed(AUDITOR, position, ACTOR, "inspection")
    assert attribution.items() < everything.items()
    assert "recipient_organisation" in attribution
    assert "data_categories" in everything.keys() - attribution.keys()
    assert len(await consultations(ledger, stream)) == 2


@pytest.mark.parametrize("purpose", [None, "review"])
async def test_a_case_bundle_verifies_offline(
    ledger: Ledger, shared_directory: DataDirectory, purpose: str | None
) -> None:
    stream, recorded = await a_case(ledger)
    raw = await ledger.bundle(DPO, stream, actor=ACTOR, purpose=purpose)
    bundle = BundleReader(io.BytesIO(raw))
    report = verify_case(bundle, shared_directory.policy())
    disclosures = [name for name in bundle.names if name.startswith("disclosures/")]
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert len(disclosures) == (0 if purpose is None else len(recorded))
    assert len(await consultations(ledger, stream)) == 1


async def test_tiles_are_prefixes_of_cells(ledger: Ledger) -> None:
    await a_case(ledger)
    size = (await ledger.status())["tree_size"]
    full = await ledger.tile(Tile(0, 0, size))
    for width in (1, 7, size - 1):
        assert await ledger.tile(Tile(0, 0, width)) == full[: 32 * width]
    # The first reading of entries is itself recorded.
    await ledger.entry_bundle(AUDITOR, Tile(None, 0, 1))
    size = (await ledger.status())["tree_size"]
    entries = decode_entries(await ledger.entry_bundle(AUDITOR, Tile(None, 0, size)), size)
    assert entries[3] == await ledger.entry(DPO, 3)
    for beyond in (Tile(0, 0, min(size + 1, 256)), Tile(0, 5), Tile(1, 0)):
        with pytest.raises(NotFound):
            await ledger.tile(beyond)
    with pytest.raises(NotFound):
        await ledger.entry_bundle(AUDITOR, Tile(None, 0, size + 1))
    with pytest.raises(Forbidden):
        await ledger.entry_bundle(DPO, Tile(None, 0, 1))


async def test_the_checkpoint_covers_what_was_acknowledged(
    ledger: Ledger, shared_directory: DataDirectory
) -> None:
    for _ in range(5):
        (recorded,) = await ledger.record(ANY, [identified()])
        opened = shared_directory.policy().open(await ledger.checkpoint())
        assert opened.checkpoint.size > recorded.position
        assert len(opened.signers) == 2


async def test_the_list_of_cases_catches_up_and_is_of_the_callers_hubs(ledger: Ledger) -> None:
    hub = "E09000007"
    streams = {(await a_case(ledger, hub))[0].id for _ in range(5)}
    deadline = time.monotonic() + 10
    while (status := await ledger.status())["projected_size"] < status["tree_size"]:
        assert time.monotonic() < deadline, "the projection does not catch up"
    bound = replace(DPO, all=False, hubs=frozenset({hub}))
    seen: list[str] = []
    after: str | None = None
    while True:
        page, after = await ledger.cases(bound, after, 2)
        seen += [case["stream"].removeprefix("case/") for case in page]
        assert all(case["status"] == "closed" for case in page)
        if after is None:
            break
    assert seen == sorted(streams)
