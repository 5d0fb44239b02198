"""Recipients answer for what they received themselves: the true organisation counts, and nobody
learns of another's share."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import count, islice
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from ledger import recording, shares
from ledger.access import Credential, Role
from ledger.application import Ledger
from ledger.catalogue import CATALOGUE
from ledger.config import DataDirectory
from ledger.errors import Busy, LedgerError, NoSuchShare, OutOfScope
from ledger.fsck import check
from ledger.intake import RECEIVED_BY
from ledger.log.restored import sign_loss
from ledger.store import open_store
from ledger.store.lost import note_lost
from ledger.submission import Submission
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.meaning.schemas import Lost
from tests.ledger.acts import LEWISHAM, act, credential, identified
from tests.ledger.copies import in_store

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
TRUST, OTHER = "fictional-youth-trust", "another-youth-trust"
CONFIRMED, ACKNOWLEDGED = "recipient_erasure.confirmed", "disclosure.acknowledged"
POINTER = "/data/disclosure_id"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened
    report = check(shared_directory)
    assert report.verdict is Verdict.VERIFIED, report.failures


def token_of(organisation: str) -> Credential:
    """A recipient's own token."""
    return credential(
        all=False,
        organisation=organisation,
        hubs=frozenset({LEWISHAM}),
        sources=frozenset({f"{organisation}-portal"}),
    )


def said(type_name: str, stream: StreamRef, organisation: str = TRUST, **data: Any) -> Submission:
    """An event about what an organisation received; a recipient's own by its own system."""
    base = act(type_name, stream)
    changed = replace(base, data={**base.data, RECEIVED_BY: organisation, **data})
    if type_name == "data.disclosed":
        return changed
    return replace(changed, source=f"{organisation}-portal", organisation=organisation)


def share_id(share: Submission) -> str:
    return str(share.data["disclosure_id"])


async def a_share(ledger: Ledger, **data: Any) -> Submission:
    """Recorded, with the case that it is of."""
    person = identified()
    share = said("data.disclosed", person.stream, disclosure_id=str(uuid4()), **data)
    await ledger.record(ANY, [person, share])
    return share


def answer(type_name: str, share: Submission, organisation: str = TRUST, **data: Any) -> Submission:
    named = {"disclosure_id": share.data["disclosure_id"], **data}
    return said(type_name, share.stream, organisation, **named)


async def refused(
    ledger: Ledger, token: Credential, *events: Submission, pointer: str = POINTER
) -> tuple[type[LedgerError], str]:
    """How these are refused; nothing may have been recorded, and no value be repeated."""
    # What the ledger records of an erasure before is not of this.
    await ledger.erasures_verified()
    size = (await ledger.status())["tree_size"]
    with pytest.raises((NoSuchShare, OutOfScope)) as caught:
        await ledger.record(token, events)
    error = caught.value
    assert [field.pointer for field in error.fields] == [pointer]
    words = f"{error.detail} {error.fields} {error.extra}"
    for event in events:
        named = (event.data["disclosure_id"], event.data[RECEIVED_BY], event.stream.id, event.id)
        assert not any(value in words for value in named)
    assert (await ledger.status())["tree_size"] == size
    return type(error), words


async def confirmed(ledger: Ledger, share: Submission) -> list[bool]:
    """For each share of the case, whether its erasure is confirmed."""
    state = await ledger.case(DPO, share.stream.id, ACTOR, None)
    assert state["confirmations_of_no_share"] == 0
    return [one["erasure_confirmed_on"] is not None for one in state["disclosures"]]


async def test_every_recipients_type_is_looked_at_and_names_its_organisation() -> None:
    for event_type in CATALOGUE.registrations():
        assert event_type.recipient is (event_type.type in shares.ANSWERS)
        if event_type.recipient or event_type.type == "data.disclosed":
            assert event_type.sealed[RECEIVED_BY] == "attribution"


async def test_a_recipient_confirms_what_it_received(ledger: Ledger) -> None:
    share = await a_share(ledger)
    answers = [answer(name, share) for name in (ACKNOWLEDGED, CONFIRMED)]
    recorded = await ledger.record(token_of(TRUST), answers)
    assert await confirmed(ledger, share) == [True]
    # A retry is the same event; and again in another is nothing to refuse.
    again = await ledger.record(token_of(TRUST), answers)
    assert [one.position for one in again] == [one.position for one in recorded]
    await ledger.record(token_of(TRUST), [answer(CONFIRMED, share)])
    assert await confirmed(ledger, share) == [True]


async def test_it_is_confirmed_after_the_person_was_erased(ledger: Ledger) -> None:
    share = await a_share(ledger)
    await ledger.record(DPO, [act("erasure.executed", share.stream)])
    await refused(ledger, token_of(OTHER), answer(CONFIRMED, share, OTHER))
    await ledger.record(token_of(TRUST), [answer(CONFIRMED, share)])
    assert await confirmed(ledger, share) == [True]


async def test_anothers_share_is_answered_as_one_that_is_not_there(ledger: Ledger) -> None:
    share = await a_share(ledger)
    other = token_of(OTHER)
    theirs = await refused(ledger, other, answer(CONFIRMED, share, OTHER))
    assert theirs[0] is NoSuchShare
    unknown = answer(CONFIRMED, share, OTHER, disclosure_id=str(uuid4()))
    category = answer(CONFIRMED, share, OTHER, recipient_category="police")
    elsewhere = said(CONFIRMED, StreamRef("case", str(uuid4())), OTHER)
    for event in (unknown, category, elsewhere):
        assert await refused(ledger, other, event) == theirs
    # Nor does it show in which of a batch is refused.
    last = await refused(ledger, other, unknown, category, pointer=f"/0{POINTER}")
    for first in (unknown, answer(CONFIRMED, share, OTHER)):
        for second in (unknown, answer(CONFIRMED, share, OTHER)):
            events = (replace(first, id=str(uuid4())), replace(second, id=str(uuid4())))
            assert await refused(ledger, other, *events, pointer=f"/0{POINTER}") == last
    # Its own recipient must say what it is, too.
    mistaken = answer(CONFIRMED, share, recipient_category="police")
    assert await refused(ledger, token_of(TRUST), mistaken) == theirs
    assert await confirmed(ledger, share) == [False]


@pytest.mark.parametrize("name", [CONFIRMED, ACKNOWLEDGED])
async def test_a_token_speaks_for_its_own_organisation_alone(ledger: Ledger, name: str) -> None:
    share = await a_share(ledger)
    other = token_of(OTHER)
    feigned = replace(answer(name, share), source=f"{OTHER}-portal", organisation=OTHER)
    field = f"/data/{RECEIVED_BY}"
    theirs = await refused(ledger, other, feigned, pointer=field)
    assert theirs[0] is OutOfScope
    # Before anything is looked up: whether there is such a share is not told.
    unknown = replace(feigned, stream=StreamRef("case", str(uuid4())))
    assert await refused(ledger, other, unknown, pointer=field) == theirs


async def test_a_hub_records_what_a_recipient_told_it_by_another_road(ledger: Ledger) -> None:
    share = await a_share(ledger)
    by_mail = replace(answer(CONFIRMED, share), source="lewisham-cases", organisation="lewisham")
    wrong = replace(by_mail, data={**by_mail.data, RECEIVED_BY: OTHER})
    assert (await refused(ledger, ANY, wrong))[0] is NoSuchShare
    (recorded,) = await ledger.record(ANY, [by_mail])
    assert await confirmed(ledger, share) == [True]
    opened = await ledger.sealed(DPO, recorded.position, ACTOR, "review")
    assert (opened[RECEIVED_BY], opened["true_organisation"]) == (TRUST, "lewisham")


async def test_an_acknowledgement_may_come_first_and_is_else_of_the_recipient(
    ledger: Ledger,
) -> None:
    person = identified()
    share = said("data.disclosed", person.stream, disclosure_id=str(uuid4()))
    trust, other = token_of(TRUST), token_of(OTHER)
    await ledger.record(ANY, [person])
    await ledger.record(trust, [answer(ACKNOWLEDGED, share)])
    # That does not make a share of it which could be confirmed.
    await refused(ledger, trust, answer(CONFIRMED, share))
    await ledger.record(ANY, [share])
    await refused(ledger, other, answer(ACKNOWLEDGED, share, OTHER))
    await refused(ledger, other, answer(ACKNOWLEDGED, share, OTHER, recipient_category="police"))
    await ledger.record(trust, [answer(CONFIRMED, share)])
    assert await confirmed(ledger, share) == [True]


async def test_one_id_for_shares_with_two_organisations_is_confirmed_by_neither(
    ledger: Ledger,
) -> None:
    share = await a_share(ledger)
    await ledger.record(ANY, [answer("data.disclosed", share, OTHER)])
    for organisation in (TRUST, OTHER):
        event = answer(CONFIRMED, share, organisation)
        await refused(ledger, token_of(organisation), event)
    assert await confirmed(ledger, share) == [False, False]
    # Of another category it is another share.
    await ledger.record(ANY, [answer("data.disclosed", share, OTHER, recipient_category="school")])
    event = answer(CONFIRMED, share, OTHER, recipient_category="school")
    await ledger.record(token_of(OTHER), [event])
    assert await confirmed(ledger, share) == [False, False, True]


async def test_in_a_batch_what_comes_before_counts(ledger: Ledger) -> None:
    person = identified()
    share = said("data.disclosed", person.stream, disclosure_id=str(uuid4()))
    other = answer(CONFIRMED, share, OTHER)
    await refused(ledger, ANY, answer(CONFIRMED, share), share, pointer=f"/0{POINTER}")
    await refused(ledger, ANY, share, other, pointer=f"/1{POINTER}")
    await ledger.record(ANY, [person, share, answer(ACKNOWLEDGED, share), answer(CONFIRMED, share)])
    assert await confirmed(ledger, share) == [True]


def in_between(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, coming: Iterator[Submission]
) -> None:
    """Whenever shares have been looked at, one more of these is recorded before anything else."""
    loop = asyncio.get_running_loop()

    def then_another(*arguments: Any) -> Mapping[int, shares.Answer]:
        found = shares.look(*arguments)
        for other in islice(coming, 1):
            asyncio.run_coroutine_threadsafe(ledger.record(ANY, [other]), loop).result(30)
        return found

    monkeypatch.setattr(recording, "look_at_shares", then_another)


async def test_whoever_gets_in_between_makes_the_share_be_looked_up_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = await a_share(ledger)
    coming = iter([said("data.disclosed", share.stream, OTHER, disclosure_id=share_id(share))])
    in_between(ledger, monkeypatch, coming)
    with pytest.raises(NoSuchShare):
        await ledger.record(token_of(TRUST), [answer(CONFIRMED, share)])
    assert list(coming) == []


async def test_an_acknowledgement_does_not_wait_for_others_to_stop(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = await a_share(ledger)
    in_between(ledger, monkeypatch, (act("case.reviewed", share.stream) for _ in count()))
    await ledger.record(token_of(TRUST), [answer(ACKNOWLEDGED, share)])
    with pytest.raises(Busy):
        await ledger.record(token_of(TRUST), [answer(CONFIRMED, share)])


async def test_the_vault_is_asked_in_its_own_thread_and_only_where_a_share_is_there(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def noted(*arguments: Any) -> None:
        threads.append(threading.current_thread().name)
        shares.check_received(*arguments)

    monkeypatch.setattr(recording, "check_received", noted)
    share = await a_share(ledger)
    await refused(ledger, ANY, answer(CONFIRMED, share, disclosure_id=str(uuid4())))
    await refused(
        ledger, token_of(OTHER), answer(CONFIRMED, share, OTHER, recipient_category="police")
    )
    await ledger.record(ANY, [answer(ACKNOWLEDGED, share, disclosure_id=str(uuid4()))])
    assert threads == []
    await ledger.record(ANY, [answer(CONFIRMED, share)])
    assert [name.partition("_")[0] for name in threads] == ["vault"]


async def test_of_a_recipient_that_is_lost_the_category_is_what_is_left(
    sqlite_directory: DataDirectory,
) -> None:
    async with Ledger.open(sqlite_directory.path) as ledger:
        person = identified()
        share = said("data.disclosed", person.stream, disclosure_id=str(uuid4()))
        _, recorded = await ledger.record(ANY, [person, share])
    place = recorded.position
    in_store(
        sqlite_directory,
        "DELETE FROM sealed WHERE position = ? AND key_class = 'attribution'",
        place,
    )
    lost = Lost("attribution", place, place, 1, place, place + 1)
    with closing(open_store(sqlite_directory.database)) as store, store._write() as rows:
        note_lost(rows, sign_loss(sqlite_directory.signing_keys().ed25519, lost))
    async with Ledger.open(sqlite_directory.path) as ledger:
        mistaken = answer(CONFIRMED, share, OTHER, recipient_category="police")
        await refused(ledger, token_of(OTHER), mistaken)
        await ledger.record(token_of(OTHER), [answer(CONFIRMED, share, OTHER)])
        assert await confirmed(ledger, share) == [True]
    report = check(sqlite_directory)
    assert report.verdict is Verdict.VERIFIED, report.failures
