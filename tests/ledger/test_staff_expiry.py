"""The end of a staff reference: when it is due, what goes with it, and that nothing comes back."""

import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.errors import ErasurePending, Expired, NotFound
from ledger.expiring import Expirer
from ledger.fsck import check
from ledger.initialise import initialise
from ledger.submission import Submission
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.formats.entry import StreamRef
from tests.conftest import MakeDatabase
from tests.faults.life import Life, living
from tests.ledger.acts import LEWISHAM, act, identified
from tests.ledger.copies import key_rows
from tests.ledger.test_erasure_bytes import found
from tests.ledger.test_staff import (
    COUNCIL,
    FIRST,
    PERSON,
    SYSTEM,
    ask,
    bound,
    confirm,
    entries_of,
    put_row,
    register,
    rows_of,
)

Clock = Callable[[int], None]


@pytest.fixture
def days_on(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """So many days later, for whoever asks what is due."""

    def on(days: int) -> None:
        then = datetime.now(UTC) + timedelta(days)
        monkeypatch.setattr(Expirer, "now", lambda _: then)

    return on


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> DataDirectory:
    """A new ledger, once with both stores on SQLite and once with both on PostgreSQL."""
    if request.param == "sqlite":
        return initialise(tmp_path / "data", publish_seconds=0.05)
    make: MakeDatabase = request.getfixturevalue("postgres")
    return initialise(tmp_path / "data", database=make(), key_database=make(), publish_seconds=0.05)


def policy(**changes: object) -> Submission:
    """The longest period is that of cases, 2557 days."""
    adopted = act("policy.adopted")
    return act("policy.adopted", data={**adopted.data, **changes})


def order() -> Submission:
    return act("expiry.ordered")


def waiting(life: Life) -> tuple[int, dict[str, int]]:
    found = life.expirer.due(LEWISHAM, COUNCIL).to_json()["kinds"]["access"]
    return found["due"], found["waiting"]


async def one_case(life: Life, **changes: str) -> StreamRef:
    case = StreamRef("case", str(uuid4()))
    await life.record(identified(case, **changes), act("case.closed", case, **changes))
    return case


async def test_a_reference_goes_after_whatever_may_name_it(
    sqlite_directory: DataDirectory, days_on: Clock
) -> None:
    with living(sqlite_directory) as life:
        reference = await register(life)
        told = await confirm(life, reference, await ask(life, reference))
        year = (date.fromisoformat(told["until"]) - date.fromisoformat(told["from"])).days
        row = rows_of(sqlite_directory)[reference]
        ((_, _, _, wrapped),) = key_rows(sqlite_directory, "WHERE key_id = ?", row.key_id)
        assert isinstance(wrapped, bytes)
        secrets = [row.sealed[:32], row.sealed[-32:], wrapped]
        assert found(sqlite_directory, secrets) == {0, 1, 2}
        await life.record(policy())
        # Used for a year, and then kept for as long as the longest kept kind of stream.
        days_on(year + 2557)
        assert waiting(life) == (0, {"too-young": 1})
        days_on(year + 2557 + 1)
        assert waiting(life) == (1, {})
        # Another organisation of the hub has recorded in a case of its own meanwhile.
        other = await one_case(life, organisation="other-council", source="other-cases")
        assert waiting(life) == (0, {"still-told-of": 1})
        await life.record(order())
        assert len(entries_of(life, reference)) == 3
        theirs = [
            act(name, organisation="other-council", source="other-cases")
            for name in ("policy.adopted", "expiry.ordered")
        ]
        for event in theirs:
            await life.record(event)
        assert life.store.stream(other.text) == []
        await life.record(order())
        assert entries_of(life, reference) == []
        assert rows_of(sqlite_directory) == {}
        with pytest.raises(Expired):
            await ask(life, reference)
        with pytest.raises(NotFound):
            await ask(life, reference, credential=bound(FIRST.role, "other-council"))
        with pytest.raises(Expired):
            await life.staff.register(SYSTEM, reference, PERSON, None)
        report = check(sqlite_directory)
        assert report.verdict is Verdict.VERIFIED, report.failures
        assert found(sqlite_directory, secrets) == set()


async def test_what_keeps_a_reference_and_what_does_not(
    sqlite_directory: DataDirectory, days_on: Clock
) -> None:
    with living(sqlite_directory) as life:
        reference = await register(life)
        days_on(4000)
        await life.record(policy(**dict.fromkeys(("case_days", "party_days"), None)))
        await life.record(
            policy(
                **{
                    f"{kind}_days": None
                    for kind in ("case", "party", "restricted", "access", "content")
                }
            )
        )
        assert waiting(life) == (0, {"no-period": 1})
        await life.record(policy())
        assert waiting(life) == (1, {})
        # In another hub in which the organisation is, too; in one in which it is not, nothing is.
        await life.record(identified(hub="E09000001", organisation="far-council"))
        assert waiting(life) == (1, {})
        # Registers are kept for good, and so is who looked at them: they keep nothing else.
        agreement = act("agreement.registered")
        looked = act("record.consulted", StreamRef("access", agreement.stream.id))
        await life.record(agreement, looked)
        assert waiting(life) == (1, {"still-told-of": 1})
        await life.record(identified(hub="E09000001"))
        assert waiting(life) == (0, {"still-told-of": 2})
        await life.record(order())
        assert len(entries_of(life, reference)) == 1


async def test_what_began_after_its_end_does_not_keep_it(
    sqlite_directory: DataDirectory, days_on: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with living(sqlite_directory) as life:
        past = (datetime.now(UTC) - timedelta(800)).timestamp()
        monkeypatch.setattr(life.staff, "_clock", lambda: past)
        old = await register(life)
        monkeypatch.undo()
        new = await register(life)
        await life.record(policy(), identified())
        days_on(4000)
        assert waiting(life) == (1, {"still-told-of": 1})
        await life.record(order())
        assert [len(entries_of(life, one)) for one in (old, new)] == [0, 1]
        assert rows_of(sqlite_directory).keys() == {new}


async def test_somebody_who_asks_meanwhile_is_not_lost(
    sqlite_directory: DataDirectory, days_on: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the log holds by then goes with it, or nothing does."""
    with living(sqlite_directory) as life:
        reference = await register(life)
        await life.record(policy())
        days_on(4000)
        await life.tombstones.have_key()
        plan = life.expirer.plan(LEWISHAM, COUNCIL)
        assert plan is not None
        assert [one.stream for one in plan.doomed] == [f"access/{reference}"]
        await ask(life, reference)
        made, real = [plan], life.expirer.plan
        monkeypatch.setattr(
            life.expirer, "plan", lambda *asked: made.pop() if made else real(*asked)
        )
        await life.record(order())
        # The plan was refused and made again, with the request in it.
        assert entries_of(life, reference) == []


async def test_a_crash_on_the_way_is_made_good(both: DataDirectory, days_on: Clock) -> None:
    with living(both) as life:
        reference = await register(life)
        assert await confirm(life, reference, await ask(life, reference))
        await life.record(policy())
        days_on(4000)
        life.fault.arm("keys delete staff_map", "after")
        with pytest.raises(ErasurePending):
            await life.record(order())
        assert life.fault.fired
        assert entries_of(life, reference) == []
        assert reference in rows_of(both)
    with living(both):
        assert rows_of(both) == {}
    report = check(both)
    assert report.verdict is Verdict.VERIFIED, report.failures


async def test_an_old_key_store_does_not_bring_it_back(
    sqlite_directory: DataDirectory, days_on: Clock, tmp_path: Path
) -> None:
    keys = Path(sqlite_directory.key_database)
    with living(sqlite_directory) as life:
        reference = await register(life)
        adopted = policy()
        await life.record(adopted)
        days_on(4000)
        # It has all the keys that an order needs.
        await life.tombstones.have_key()
    shutil.copy(keys, tmp_path / "old")
    with living(sqlite_directory) as life:
        await life.record(act("expiry.ordered", adopted.stream))
        assert rows_of(sqlite_directory) == {}
    shutil.copy(tmp_path / "old", keys)
    assert rows_of(sqlite_directory).keys() == {reference}
    assert reasons(check(sqlite_directory)) >= {
        "a row of the staff map is there whose key this destroyed"
    }
    with living(sqlite_directory):
        assert rows_of(sqlite_directory) == {}
    report = check(sqlite_directory)
    assert report.verdict is Verdict.VERIFIED, report.failures


def reasons(report: Report) -> set[str]:
    return {failure.reason for failure in report.failures}


async def test_damage_to_the_staff_map_is_found(sqlite_directory: DataDirectory) -> None:
    with living(sqlite_directory) as life:
        one, other = await register(life), await register(life, name="Another Fictional")
        position = life.store.stream(f"access/{one}")[0].position
    rows = rows_of(sqlite_directory)
    report = check(sqlite_directory)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.checked["staff references"] == 2
    damaged = {
        "the log key of its row in the staff map is missing, or another's": rows[other],
        "its row in the staff map does not open": type(rows[one])(
            rows[one].key_id, rows[other].sealed
        ),
    }
    for reason, row in damaged.items():
        put_row(sqlite_directory, one, row)
        report = check(sqlite_directory)
        assert [(f.reason, f.position) for f in report.failures] == [(reason, position)]
    put_row(sqlite_directory, one, rows[one])
    with closing(open_database(sqlite_directory.key_database)) as keys:
        with keys.transaction() as cursor:
            cursor.execute("DELETE FROM staff_map WHERE reference = ?", (one,))
        report = check(sqlite_directory)
        missing = "the staff map lacks a reference and no entry explains it"
        assert [(f.reason, f.position) for f in report.failures] == [(missing, position)]
        with keys.transaction() as cursor:
            cursor.execute("UPDATE staff_map SET sealed = 7")
        assert "the staff map holds what is no row of it" in reasons(check(sqlite_directory))
