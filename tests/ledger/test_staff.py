"""The staff map: who registers, who is told, and what is recorded first."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from ledger.access import Credential, Role
from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.errors import (
    ActorRequired,
    DuplicateConflict,
    Forbidden,
    Invalid,
    LedgerError,
    Malformed,
    NotFound,
    OpeningNotWaiting,
    OutOfScope,
    PurposeRequired,
    ReservedType,
    SecondPersonRequired,
    WriterLost,
)
from ledger.fsck import check
from ledger.staff import _year
from ledger.vault.staffmap import StaffRow
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.entry import StreamRef, decode
from tests.faults.life import Life, living
from tests.ledger.acts import LEWISHAM, act, credential, identified

COUNCIL = "lewisham-council"
PERSON = {"name": "Rosalind Fictional", "staff_number": "P-90417", "position": "Caseworker"}
ASKED = {"body": "lewisham-audit", "power": "controllers-own-monitoring"}
PURPOSE = "s62-4-b"


def bound(role: Role, organisation: str = COUNCIL, **changes: Any) -> Credential:
    values = {
        "all": False,
        "organisation": organisation,
        "hubs": frozenset({LEWISHAM}),
        "sources": frozenset({"lewisham-cases"}),
    }
    return credential(role, **{**values, **changes})


SYSTEM = bound(Role.SUBMITTER)
FIRST, SECOND = bound(Role.STANDARDS), bound(Role.STANDARDS)
ALICE, BOB = str(uuid4()), str(uuid4())


@pytest.fixture(scope="module")
def life(shared_directory: DataDirectory) -> Iterator[Life]:
    with living(shared_directory) as opened:
        yield opened


async def register(life: Life, **changes: str) -> str:
    reference = str(uuid4())
    await life.staff.register(SYSTEM, reference, {**PERSON, **changes}, None)
    return reference


async def ask(life: Life, reference: str, **changes: Any) -> str:
    given = {"credential": FIRST, "body": ASKED, "actor": ALICE, "purpose": PURPOSE, **changes}
    waits = await life.staff.request(reference=reference, **given)
    return waits.opening


async def confirm(life: Life, reference: str, opening: str, **changes: Any) -> dict[str, Any]:
    given = {"credential": SECOND, "body": ASKED, "actor": BOB, "purpose": PURPOSE, **changes}
    return await life.staff.confirm(reference=reference, opening=opening, **given)


def entries_of(life: Life, reference: str) -> list[dict[str, Any]]:
    return [decode(one.raw) for one in life.store.stream(f"access/{reference}")]


def rows_of(directory: DataDirectory) -> dict[str, StaffRow]:
    with closing(open_database(directory.key_database)) as keys, keys.transaction() as rows:
        rows.execute("SELECT reference, key_id, sealed FROM staff_map")
        return {row[0]: StaffRow(row[1], bytes(row[2])) for row in rows.fetchall()}


def put_row(directory: DataDirectory, reference: str, row: StaffRow) -> None:
    with closing(open_database(directory.key_database)) as keys, keys.transaction() as rows:
        rows.execute("DELETE FROM staff_map WHERE reference = ?", (reference,))
        rows.execute(
            "INSERT INTO staff_map (reference, key_id, sealed) VALUES (?, ?, ?)",
            (reference, row.key_id, row.sealed),
        )


async def test_what_registering_leaves_in_the_log(life: Life) -> None:
    reference, actor = str(uuid4()), str(uuid4())
    done = await life.staff.register(SYSTEM, reference, PERSON, actor)
    today = datetime.fromisoformat(done.since)
    assert done.created
    assert datetime.fromisoformat(done.until) - today in (timedelta(365), timedelta(366))
    (entry,) = entries_of(life, reference)
    assert entry["data"].keys() == {"until", "_sd"}
    assert entry["data"]["until"] == done.until
    assert entry["occurred_at"] == done.since
    named = (entry["organisation"], entry["hub"], entry["actor"], entry["submitted_by"])
    assert named == (COUNCIL, "central", actor, SYSTEM.public_id)


async def test_the_same_again_is_the_same_and_anything_else_a_conflict(life: Life) -> None:
    reference = str(uuid4())
    many = [life.staff.register(SYSTEM, reference, PERSON, None) for _ in range(3)]
    done = await asyncio.gather(*many)
    assert sorted(one.created for one in done) == [False, False, True]
    assert len({(one.since, one.until, one.organisation) for one in done}) == 1
    for name in PERSON:
        with pytest.raises(DuplicateConflict):
            await life.staff.register(SYSTEM, reference, {**PERSON, name: "Another"}, None)
    # Whoever did not register it does not hear whether a guess is right.
    for other in (bound(Role.DPO), bound(Role.SUBMITTER, "other-council")):
        with pytest.raises(DuplicateConflict):
            await life.staff.register(other, reference, PERSON, None)
    assert len(entries_of(life, reference)) == 1


async def test_a_reference_is_not_the_id_of_anything_else(life: Life) -> None:
    """Who reads `case/R` is recorded in `access/R`: nobody takes that stream by registering R."""
    case = StreamRef("case", str(uuid4()))
    await life.record(act("subject.identified", case))
    for reference in (case.id, await register(life)):
        with pytest.raises(DuplicateConflict):
            await life.staff.register(bound(Role.SUBMITTER), reference, PERSON, None)


async def test_who_registers_for_whom(life: Life) -> None:
    everything = credential(Role.REGISTRAR)
    with pytest.raises(Malformed) as missing:
        await life.staff.register(everything, str(uuid4()), PERSON, None)
    assert [one.pointer for one in missing.value.fields] == ["/organisation"]
    named = {**PERSON, "organisation": "met-police"}
    done = await life.staff.register(everything, str(uuid4()), named, None)
    assert done.organisation == "met-police"
    with pytest.raises(OutOfScope):
        await life.staff.register(SYSTEM, str(uuid4()), named, None)
    for role in (Role.STANDARDS, Role.AUDITOR, Role.INSPECTOR, Role.OPERATOR):
        with pytest.raises(Forbidden):
            await life.staff.register(bound(role), str(uuid4()), PERSON, None)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([PERSON["name"]], [""]),
        ({**PERSON, "name": 7}, ["/name"]),
        ({**PERSON, "name": ""}, ["/name"]),
        ({**PERSON, "position": "x" * 201, "staff_number": "\x07"}, ["/position", "/staff_number"]),
        ({**PERSON, "Rosalind Fictional": "x"}, [""]),
        ({"name": PERSON["name"]}, ["/position", "/staff_number"]),
        ({**PERSON, "organisation": "Rosalind Fictional"}, ["/organisation"]),
    ],
)
async def test_a_malformed_body_is_told_by_its_fields(
    life: Life, body: object, pointers: list[str]
) -> None:
    reference = str(uuid4())
    with pytest.raises(Malformed) as caught:
        await life.staff.register(SYSTEM, reference, body, None)
    assert sorted({one.pointer for one in caught.value.fields}) == pointers
    shown = f"{caught.value}{caught.value.fields}"
    assert not any(value in shown for value in PERSON.values())
    assert entries_of(life, reference) == []


async def test_two_people_open_it_and_both_steps_are_recorded_first(life: Life) -> None:
    reference = await register(life)
    opening = await ask(life, reference)
    told = await confirm(life, reference, opening)
    registered, requested, confirmed = entries_of(life, reference)
    since, until = registered["occurred_at"], registered["data"]["until"]
    assert told == {
        "reference": reference,
        "organisation": COUNCIL,
        "from": since,
        "until": until,
        **PERSON,
    }
    steps = [(e["type"], e["actor"], e["submitted_by"]) for e in (requested, confirmed)]
    assert steps == [
        ("staff_opening.requested", ALICE, FIRST.public_id),
        ("staff_opening.confirmed", BOB, SECOND.public_id),
    ]
    assert requested["id"] == confirmed["data"]["request_event"] == opening
    for step in (requested, confirmed):
        assert step["data"]["log_purpose"] == PURPOSE
        assert step["data"]["power"] == ASKED["power"]
        assert ASKED["body"] not in str(step)
    # A lost reply is asked for again, and that is recorded again.
    assert await confirm(life, reference, opening) == told
    assert len(entries_of(life, reference)) == 4


async def test_one_person_or_one_credential_is_not_two(life: Life) -> None:
    reference = await register(life)
    opening = await ask(life, reference)
    for changes in (
        {"actor": ALICE},
        {"credential": FIRST},
        {"credential": FIRST, "actor": ALICE},
    ):
        with pytest.raises(SecondPersonRequired):
            await confirm(life, reference, opening, **changes)
    assert len(entries_of(life, reference)) == 2


async def test_nobody_else_is_told_under_the_same_request(life: Life) -> None:
    reference = await register(life)
    opening = await ask(life, reference)
    told = await confirm(life, reference, opening)
    # Who lost the reply asks again.
    assert await confirm(life, reference, opening) == told
    third = replace(SECOND, public_id=str(uuid4()))
    with pytest.raises(OpeningNotWaiting):
        await confirm(life, reference, opening, credential=third, actor=str(uuid4()))
    with pytest.raises(OpeningNotWaiting):
        await confirm(life, reference, opening, credential=third)


async def test_no_stream_begins_under_a_reference(life: Life) -> None:
    reference = await register(life)
    with pytest.raises(Invalid):
        await life.record(identified(StreamRef("case", reference)))


async def test_what_was_not_asked_or_too_long_ago_is_not_opened(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, other = await register(life), await register(life)
    opening = await ask(life, reference)
    for wrong in (str(uuid4()), entries_of(life, reference)[0]["id"]):
        with pytest.raises(OpeningNotWaiting):
            await confirm(life, reference, wrong)
    with pytest.raises(OpeningNotWaiting):
        await confirm(life, other, opening)
    with pytest.raises(PurposeRequired):
        await confirm(life, reference, opening, purpose="s62-4-d")
    asked_at = datetime.fromisoformat(entries_of(life, reference)[1]["recorded_at"]).timestamp()
    monkeypatch.setattr(life.staff, "_clock", lambda: asked_at + 86_400)
    with pytest.raises(OpeningNotWaiting):
        await confirm(life, reference, opening)
    assert [e["type"] for e in entries_of(life, other)] == ["staff.registered"]
    assert len(entries_of(life, reference)) == 2


async def test_each_of_them_says_who_asks_for_what(life: Life) -> None:
    reference = await register(life)
    opening = await ask(life, reference)
    bad: list[tuple[dict[str, Any], type[LedgerError]]] = [
        ({"actor": None}, ActorRequired),
        ({"actor": "Alice"}, ActorRequired),
        ({"purpose": None}, PurposeRequired),
        ({"purpose": "review"}, PurposeRequired),
        ({"body": {"body": "lewisham-audit"}}, Malformed),
        ({"body": {**ASKED, "power": "curiosity"}}, Malformed),
        ({"body": {**ASKED, "body": "Lewisham Audit"}}, Malformed),
        ({"credential": bound(Role.STANDARDS, machine=True)}, Forbidden),
        ({"credential": bound(Role.DPO)}, Forbidden),
        ({"credential": SYSTEM}, Forbidden),
    ]
    for changes, error in bad:
        with pytest.raises(error):
            await ask(life, reference, **changes)
        with pytest.raises(error):
            await confirm(life, reference, opening, **changes)
    assert len(entries_of(life, reference)) == 2


async def test_unknown_and_forbidden_are_not_told_apart(life: Life) -> None:
    reference = await register(life)
    opening = await ask(life, reference)
    case = StreamRef("case", str(uuid4()))
    await life.record(act("record.consulted", StreamRef("access", case.id)))
    elsewhere = [
        bound(Role.STANDARDS, "other-council"),
        bound(Role.INSPECTOR, "ico"),
    ]
    tried = [(who, reference) for who in elsewhere]
    tried += [(FIRST, str(uuid4())), (FIRST, case.id)]
    told = set()
    for who, name in tried:
        for attempt in (
            ask(life, name, credential=who),
            confirm(life, name, opening, credential=who),
        ):
            with pytest.raises(NotFound) as caught:
                await attempt
            told.add((str(caught.value), caught.value.fields))
    assert len(told) == 1
    # With a token made with --all, about any organisation's.
    for role in (Role.INSPECTOR, Role.STANDARDS):
        await ask(life, reference, credential=credential(role))


async def test_a_request_waits_through_a_restart_and_elsewhere(directory: DataDirectory) -> None:
    with living(directory) as life:
        reference = await register(life)
        opening = await ask(life, reference)
    with living(directory) as life:
        assert (await confirm(life, reference, opening))["name"] == PERSON["name"]


async def test_without_a_record_there_is_no_data(
    sqlite_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with living(sqlite_directory) as life:
        reference = await register(life)
        opening = await ask(life, reference)
        opened: list[object] = []
        monkeypatch.setattr(life.staff, "_open", opened.append)

        async def dead(*_: object) -> None:
            raise WriterLost("dead")

        monkeypatch.setattr(life.staff._recorder, "record_for_service", dead)
        with pytest.raises(WriterLost):
            await confirm(life, reference, opening)
        assert opened == []


async def test_a_registration_that_was_cut_short_is_finished_by_the_same_again(
    sqlite_directory: DataDirectory,
) -> None:
    reference = str(uuid4())
    with living(sqlite_directory) as life:
        life.fault.arm("insert entries", "before")
        with pytest.raises(WriterLost):
            await life.staff.register(SYSTEM, reference, PERSON, None)
        assert entries_of(life, reference) == []
    kept = rows_of(sqlite_directory)[reference]
    report = check(sqlite_directory)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert any("1 row of the staff map" in line for line in report.not_assessed)
    with living(sqlite_directory) as life:
        for changes in ({"name": "Another"}, {"organisation": "other-council"}):
            who = SYSTEM if "name" in changes else bound(Role.SUBMITTER, "other-council")
            with pytest.raises(DuplicateConflict):
                await life.staff.register(who, reference, {**PERSON, **changes}, None)
        assert (await life.staff.register(SYSTEM, reference, PERSON, None)).created
        assert await confirm(life, reference, await ask(life, reference))
    assert rows_of(sqlite_directory)[reference] == kept
    assert not any("staff map" in line for line in check(sqlite_directory).not_assessed)


async def test_nobody_records_these_by_themselves(life: Life) -> None:
    reference = await register(life)
    for name in ("staff.registered", "staff_opening.requested", "staff_opening.confirmed"):
        forged = act(name, StreamRef("access", reference), source="lewisham-cases", hub="central")
        with pytest.raises(ReservedType):
            await life.record(forged)


@pytest.mark.parametrize(
    ("day", "until"),
    [("2028-02-29", "2029-02-28"), ("2027-02-28", "2028-02-28"), ("2026-12-31", "2027-12-31")],
)
def test_a_reference_is_for_a_year(day: str, until: str) -> None:
    assert _year(date.fromisoformat(day)) == (day, until)
