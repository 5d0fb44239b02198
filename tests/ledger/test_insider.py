"""What somebody inside may try: other hubs, other controllers, the database, a worker's word."""

from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from uuid import uuid4

import pytest
import pytest_asyncio

from ledger.access import Credential, Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import (
    DuplicateConflict,
    Forbidden,
    IntegrityAlarm,
    Invalid,
    LedgerError,
    NotFound,
    OutOfScope,
    VaultUnavailable,
    VersionConflict,
    WriterLost,
)
from ledger.intake import draft, needed_keys, prepare
from ledger.log.messages import PreparedEvent
from ledger.retries import MAX_CONFLICTS
from ledger.store import open_store
from ledger_verifier.formats.entry import StreamRef
from tests.ledger.acts import LEWISHAM, act, credential, identified

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
ELSEWHERE = "E09000025"


def bound(role: Role, hub: str = LEWISHAM, organisation: str = "lewisham-council") -> Credential:
    return credential(
        role,
        all=False,
        organisation=organisation,
        hubs=frozenset({hub}),
        sources=frozenset({"lewisham-cases"}),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened


shared_loop = pytest.mark.asyncio(loop_scope="module")


async def a_case(ledger: Ledger) -> StreamRef:
    person = identified()
    await ledger.record(ANY, [person, act("data.disclosed", person.stream)])
    return person.stream


@shared_loop
async def test_nobody_takes_an_access_stream_by_writing_to_it_first(shared: Ledger) -> None:
    case = await a_case(shared)
    watched = StreamRef("access", case.id)
    with pytest.raises(OutOfScope):
        await shared.record(ANY, [act("record.consulted", watched, hub=ELSEWHERE)])
    # Before the case exists nothing says whose it will be; reading it is recorded all the same.
    early = StreamRef("access", str(uuid4()))
    await shared.record(ANY, [act("record.consulted", early, hub=ELSEWHERE)])
    await shared.record(ANY, [identified(StreamRef("case", early.id))])
    for stream in (case, StreamRef("case", early.id)):
        assert (await shared.case(DPO, stream.id, ACTOR, None))["hub"] == LEWISHAM
    outsider = bound(Role.DPO, ELSEWHERE)
    found, _, _ = await shared.feed(outsider, -1, 1000)
    assert [raw for _, raw in found if early.id.encode() in raw] == []


@shared_loop
async def test_opening_a_recipients_entry_is_recorded_in_the_cases_hub(shared: Ledger) -> None:
    case = await a_case(shared)
    acknowledged = act("disclosure.acknowledged", case, hub=ELSEWHERE, organisation="a-charity")
    (recorded,) = await shared.record(ANY, [acknowledged])
    await shared.sealed(DPO, recorded.position, ACTOR, "review")
    assert (await shared.case(DPO, case.id, ACTOR, None))["unacknowledged"] >= 0


@shared_loop
async def test_another_hub_learns_nothing_of_a_streams_length(shared: Ledger) -> None:
    case = await a_case(shared)
    probe = act("case.closed", case, hub=ELSEWHERE, expected_version=99)
    with pytest.raises(OutOfScope) as caught:
        await shared.record(ANY, [probe])
    assert caught.value.extra == {}
    await shared.case(DPO, case.id, ACTOR, None)
    watched = act("record.consulted", StreamRef("access", case.id), expected_version=99)
    coordinator = replace(ANY, role=Role.COORDINATOR)
    with pytest.raises(VersionConflict) as refused:
        await shared.record(coordinator, [watched])
    assert refused.value.extra == {}


@shared_loop
@pytest.mark.parametrize("there", [True, False])
async def test_a_recipient_cannot_guess_a_streams_length(shared: Ledger, there: bool) -> None:
    """The answer is the same for any version, and for a case that is not there."""
    case = await a_case(shared) if there else StreamRef("case", str(uuid4()))
    recipient = bound(Role.SUBMITTER, ELSEWHERE)
    for version in (0, 2, 99):
        probe = act("disclosure.acknowledged", case, hub=ELSEWHERE, expected_version=version)
        data = {**probe.data, "recipient_organisation": "lewisham-council"}
        own = replace(probe, organisation="lewisham-council", source="lewisham-cases", data=data)
        with pytest.raises(Invalid) as caught:
            await shared.record(recipient, [own])
        assert [field.pointer for field in caught.value.fields] == ["/expectedversion"]
        assert caught.value.extra == {}


@shared_loop
async def test_a_correction_tells_another_hub_nothing(shared: Ledger) -> None:
    person = identified()
    await shared.record(ANY, [person])
    for named in (person.id, str(uuid4())):
        probe = act("event.corrected", person.stream, hub=ELSEWHERE)
        data = {**probe.data, "corrected_event": named}
        with pytest.raises(OutOfScope):
            await shared.record(ANY, [replace(probe, data=data)])


@shared_loop
async def test_a_list_of_cases_tells_nothing_of_what_is_in_them(shared: Ledger) -> None:
    await a_case(shared)
    page, _ = await shared.cases(DPO, None, 1000)
    assert all(set(case) == {"stream", "hub", "status"} for case in page)


@shared_loop
async def test_another_controllers_dpo_neither_reads_opens_nor_erases(shared: Ledger) -> None:
    person = identified()
    (recorded,) = await shared.record(ANY, [person])
    other = bound(Role.DPO, organisation="met-police")
    for refused in (
        shared.entry(other, recorded.position),
        shared.sealed(other, recorded.position, ACTOR, "review"),
        shared.case(other, person.stream.id, ACTOR, None),
    ):
        with pytest.raises(NotFound):
            await refused
    erasure = act("erasure.executed", person.stream, organisation="met-police")
    with pytest.raises(Forbidden):
        await shared.record(other, [erasure])
    own = bound(Role.DPO)
    await shared.record(own, [act("erasure.executed", person.stream)])


@shared_loop
async def test_sealed_values_cannot_be_guessed_by_retrying(shared: Ledger) -> None:
    closed = act("case.closed")
    await shared.record(ANY, [closed])
    wrong = replace(closed, data={**closed.data, "erase_due": "2031-01-01"})
    for _ in range(MAX_CONFLICTS):
        with pytest.raises(DuplicateConflict):
            await shared.record(ANY, [wrong])
    with pytest.raises(DuplicateConflict):
        await shared.record(ANY, [closed])


@shared_loop
async def test_a_correction_names_an_event_of_its_own_stream(shared: Ledger) -> None:
    mine, other = identified(), identified()
    await shared.record(ANY, [mine, other])
    data = act("event.corrected").data
    wrong = act("event.corrected", mine.stream, data={**data, "corrected_event": other.id})
    with pytest.raises(Invalid):
        await shared.record(ANY, [wrong])
    right = act("event.corrected", mine.stream, data={**data, "corrected_event": mine.id})
    await shared.record(ANY, [right])


@pytest.mark.parametrize("other", [False, True])
async def test_a_stream_head_that_names_no_key_or_anothers_does_not_save_data(
    directory: DataDirectory, other: bool
) -> None:
    person, bystander = identified(), identified()
    async with Ledger.open(directory.path) as ledger:
        first, second = await ledger.record(ANY, [person, bystander])
        with closing(open_store(directory.database)) as store, store._write() as rows:
            named = bystander.stream.text if other else "no such stream"
            rows.execute(
                "UPDATE stream_heads SET subject_key ="
                " (SELECT h.subject_key FROM stream_heads h WHERE h.stream = ?) WHERE stream = ?",
                (named, person.stream.text),
            )
        # That it names another's is seen before the writer is asked; that it names none, by it.
        with pytest.raises(IntegrityAlarm if other else WriterLost):
            await ledger.record(DPO, [act("erasure.executed", person.stream)])
        if not other:
            assert "altered" in await ledger.closed
    with closing(open_store(directory.database)) as store:
        assert {row.key_class for row in store.sealed([second.position])} == {"subject"}
        assert store.destroyed_keys(0) == []
    assert first.position != second.position


async def test_what_an_erasure_covers_does_not_open_whatever_is_stored(
    directory: DataDirectory,
) -> None:
    person = identified()
    async with Ledger.open(directory.path) as ledger:
        (first,) = await ledger.record(ANY, [person])
        with closing(open_store(directory.database)) as store:
            (kept,) = [r for r in store.sealed([first.position]) if r.key_class == "subject"]
        await ledger.record(DPO, [act("erasure.executed", person.stream)])
        with closing(open_store(directory.database)) as store, store._write() as rows:
            rows.execute(
                "INSERT INTO sealed (position, key_class, key_id, ciphertext)"
                " VALUES (?, 'subject', ?, ?)",
                (first.position, bytes.fromhex(kept.key_id.replace("-", "")), kept.ciphertext),
            )
        assert await ledger.sealed(DPO, first.position, ACTOR, "review") == {}


@pytest.mark.parametrize("stamp", ["2031-01-01T00:00:00.000Z", "zzzz"])
async def test_a_head_with_another_time_is_refused(directory: DataDirectory, stamp: str) -> None:
    with closing(open_store(directory.database)) as store, store._write() as rows:
        rows.execute("UPDATE head SET recorded_at = ?", (stamp,))
    with pytest.raises(IntegrityAlarm, match="time of the last entry"):
        async with Ledger.open(directory.path):
            pass


async def test_an_old_key_store_is_named_as_the_reason(directory: DataDirectory) -> None:
    from ledger.database import open_database

    person = identified()
    async with Ledger.open(directory.path) as ledger:
        await ledger.record(ANY, [person])
    with closing(open_database(directory.key_database)) as keys, keys.transaction() as rows:
        rows.execute("DELETE FROM stream_keys WHERE stream = ?", (person.stream.text,))
    async with Ledger.open(directory.path) as ledger:
        with pytest.raises(VaultUnavailable, match="key store"):
            await ledger.record(ANY, [act("case.closed", person.stream)])


def _second_genesis(event: PreparedEvent) -> PreparedEvent:
    return replace(event, entry={**event.entry, "type": "ledger.opened"})


def _float(event: PreparedEvent) -> PreparedEvent:
    return replace(event, entry={**event.entry, "schema": 1.0})


def _free_text(event: PreparedEvent) -> PreparedEvent:
    data = {**event.entry["data"], "purpose": "Fictional Person"}
    return replace(event, entry={**event.entry, "data": data})


def _hidden_erasure(event: PreparedEvent) -> PreparedEvent:
    return replace(event, erases=True)


def _any_hub(event: PreparedEvent) -> PreparedEvent:
    return replace(event, any_hub=True)


@pytest.mark.parametrize("change", [_second_genesis, _float, _free_text, _hidden_erasure, _any_hub])
async def test_a_workers_word_is_not_taken(
    sqlite_directory: DataDirectory, change: Callable[[PreparedEvent], PreparedEvent]
) -> None:
    item = draft(ANY, identified())
    keys = {key: (str(uuid4()), bytes(32)) for key in needed_keys(item)}
    event = change(prepare(sqlite_directory.origin, item, keys, None))
    async with Ledger.open(sqlite_directory.path) as ledger:
        before = (await ledger.status())["tree_size"]
        with pytest.raises(LedgerError):
            await ledger._writer.submit([event])
    with closing(open_store(sqlite_directory.database)) as store:
        head = store.head()
        assert head is not None
        assert head.size == before


@shared_loop
async def test_no_stream_begins_under_the_id_of_another(shared: Ledger) -> None:
    """`access/U` belongs to whoever `kind/U` belongs to: nobody makes another of that id."""
    case = await a_case(shared)
    await shared.case(DPO, case.id, ACTOR, None)
    new = str(uuid4())
    for events in (
        [act("agreement.registered", StreamRef("agreement", case.id), hub=ELSEWHERE)],
        [act("agreement.registered", StreamRef("agreement", case.id))],
        [act("legal_hold.placed", StreamRef("party", case.id))],
        [identified(StreamRef("case", new)), act("legal_hold.placed", StreamRef("party", new))],
    ):
        with pytest.raises(Invalid) as refused:
            await shared.record(ANY, events)
        assert [one.pointer.rpartition("/")[2] for one in refused.value.fields] == ["subject"]
    assert await shared.bundle(bound(Role.DPO), StreamRef("access", case.id), actor=ACTOR)
    with pytest.raises(NotFound):
        await shared.bundle(
            bound(Role.DPO, ELSEWHERE, "other-council"), StreamRef("access", case.id), actor=ACTOR
        )
