"""Times that cannot be: recorded after it was signed, occurred after it was recorded."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger_verifier.audit.case import verify_case
from ledger_verifier.audit.receipt import verify_receipt
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.audit.state import State
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.entry import is_ahead

from .conftest import SIZE, Verify
from .world import START, World, instant, policy, sign

MINUTE = 60_000


def when(position: int) -> int:
    """POSIX seconds at which the entry at a position was recorded."""
    return START // 1000 + position


def signed_at(world: World, size: int, *, log: int, witnesses: int) -> bytes:
    """A published checkpoint whose signatures state these times."""
    return sign(size, world.root(size), log_at=log, witnessed_at=witnesses)


def located(report: Report) -> list[tuple[int | None, str | None]]:
    assert report.verdict is Verdict.FAILED
    return [(f.position, f.field) for f in report.failures]


def test_the_last_second_is_in_time(verify: Verify, world: World) -> None:
    at = when(SIZE - 1)
    raw = signed_at(world, SIZE, log=at, witnesses=at - 300)
    assert verify({**world.members(), "checkpoint": raw}).verdict is Verdict.VERIFIED


@pytest.mark.parametrize("position", [3, 255, 256, 300, 599])
def test_recorded_after_the_log_signed(verify: Verify, world: World, position: int) -> None:
    raw = signed_at(world, SIZE, log=when(position - 1), witnesses=when(SIZE))
    report = verify({**world.members(), "checkpoint": raw})
    assert located(report) == [(position, "recorded_at")]
    (failure,) = report.failures
    assert failure.stream is not None
    day = datetime.fromtimestamp(when(position - 1), UTC)
    assert f"later than {day:%Y-%m-%d %H:%M:%S} UTC" in failure.reason
    assert "ledger.test/hub signed" in failure.reason


def test_recorded_after_a_witness_signed(verify: Verify, world: World) -> None:
    """The clock of a witness may be five minutes behind, and no more."""
    raw = signed_at(world, SIZE, log=when(SIZE), witnesses=when(SIZE - 1) - 301)
    report = verify({**world.members(), "checkpoint": raw})
    assert located(report) == [(SIZE - 1, "recorded_at")]
    assert "by more than 5 minutes" in report.failures[0].reason
    assert "witness.test/" in report.failures[0].reason


def test_a_signature_that_states_no_time_says_nothing(verify: Verify, world: World) -> None:
    raw = signed_at(world, SIZE, log=0, witnesses=when(SIZE))
    assert verify({**world.members(), "checkpoint": raw}).verdict is Verdict.VERIFIED


@pytest.mark.parametrize("at", [2**62, 253_402_300_800])
def test_times_that_no_calendar_has(over_bundle: Verify, world: World, at: int) -> None:
    raw = signed_at(world, SIZE, log=at, witnesses=at)
    assert over_bundle({**world.members(), "checkpoint": raw}).verdict is Verdict.VERIFIED


def test_earlier_checkpoints_count_as_well(over_bundle: Verify, world: World) -> None:
    """Of several the failing ones are named, each with the first entry it covers too late."""
    good = [signed_at(world, n, log=when(n - 1), witnesses=when(n)) for n in (10, 256, 257, 590)]
    bad = signed_at(world, 400, log=when(380), witnesses=when(400))
    worse = signed_at(world, 500, log=when(250), witnesses=when(500))
    members = world.members()
    assert over_bundle(members, since=tuple(good)).verdict is Verdict.VERIFIED
    report = over_bundle(members, since=(*good, bad, worse))
    assert located(report) == [(251, "recorded_at"), (381, "recorded_at")]
    assert "since-5, of 500 entries" in report.failures[0].reason


def test_entries_of_before_that_are_not_read_again(over_bundle: Verify, world: World) -> None:
    """What the state file says of the last entry is held against the new signatures."""
    state = State()
    part = World(entries=world.entries[:512])
    assert over_bundle(part.members(), state=state).verdict is Verdict.VERIFIED
    raw = signed_at(part, 512, log=when(200), witnesses=when(512))
    report = over_bundle({**part.members(), "checkpoint": raw}, state=state)
    assert located(report) == [(201, "recorded_at")]


def test_many_checkpoints_are_no_burden(over_bundle: Verify, world: World) -> None:
    """Reports stay bounded, and the run goes on."""
    since = tuple(signed_at(world, n, log=when(1), witnesses=0) for n in range(100, 200))
    report = over_bundle(world.members(), since=since)
    assert report.verdict is Verdict.FAILED
    assert report.failure_count == 100
    assert {f.position for f in report.failures} == {2}


def test_a_receipt_issued_before_its_entry_was_recorded(world: World) -> None:
    def check(witnesses: int) -> Report:
        raw = world.receipt(300)
        start = raw.index(b"ledger.test/hub\n")
        signed = signed_at(world, SIZE, log=when(SIZE), witnesses=witnesses)
        return verify_receipt(raw[:start] + signed, world.entries[300], policy())

    assert check(when(SIZE)).verdict is Verdict.VERIFIED
    assert located(check(when(300) - 301)) == [(300, "recorded_at")]


def test_a_case_bundle_signed_before_its_last_entry(tmp_path: Path, world: World) -> None:
    stream = next(name for name in world.heads if name.startswith("case/"))
    parts = world.case(stream)
    last = parts.manifest.positions[-1]
    parts.checkpoint = signed_at(world, SIZE, log=when(last) - 1, witnesses=when(SIZE))
    with parts.write(tmp_path / "case").open("rb") as file:
        assert located(verify_case(BundleReader(file), policy())) == [(last, "recorded_at")]


def occurring(change: Callable[[int], str], form: str = "instant") -> World:
    """A log of 300 entries of which entry 280 occurred at what this makes of its recording."""
    world = World(seed=3)
    world.open()
    world.register("day.noted", ["case"], occurred=form)
    stream = f"case/{world.uuid()}"
    while len(world.entries) < 300:
        now = START + 1000 * len(world.entries)
        at = change(now) if len(world.entries) == 280 else instant(now)
        entry = world.note(stream, occurred_at=at if form == "instant" else at[:10])
        world.append({**entry, "type": "day.noted"})
    return world


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [(0, Verdict.VERIFIED), (5 * MINUTE, Verdict.VERIFIED), (5 * MINUTE + 1, Verdict.FAILED)],
)
def test_occurred_after_it_was_recorded(over_bundle: Verify, ahead: int, verdict: Verdict) -> None:
    world = occurring(lambda now: instant(now + ahead))
    report = over_bundle(world.members())
    assert report.verdict is verdict
    if verdict is Verdict.FAILED:
        assert located(report) == [(280, "occurred_at")]
        assert "more than 5 minutes after" in report.failures[0].reason
        receipt = verify_receipt(world.receipt(280), world.entries[280], policy())
        assert located(receipt) == [(280, "occurred_at")]


def test_a_date_after_it_was_recorded(over_bundle: Verify) -> None:
    assert over_bundle(occurring(instant, "date").members()).verdict is Verdict.VERIFIED
    report = over_bundle(occurring(lambda now: instant(now + 86_400_000), "date").members())
    assert located(report) == [(280, "occurred_at")]


@pytest.mark.parametrize(
    ("occurred", "recorded", "ahead"),
    [
        ("2026-06-01", "2026-06-01T00:00:00.000Z", False),
        ("2026-06-02", "2026-06-01T23:00:00.000Z", False),
        ("2026-06-02", "2026-06-01T22:55:00.000Z", False),
        ("2026-06-02", "2026-06-01T22:54:59.999Z", True),
        ("2026-06-03", "2026-06-01T23:59:59.999Z", True),
        ("2026-06-01T00:05:00.000Z", "2026-06-01T00:00:00.000Z", False),
        ("2026-06-01T00:05:00.001Z", "2026-06-01T00:00:00.000Z", True),
        ("2026-05-01T00:05:00.001Z", "2026-06-01T00:00:00.000Z", False),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:00.000Z", False),
        ("9999-12-31", "9999-12-30T23:59:00.000Z", False),
    ],
)
def test_how_far_ahead_is_too_far(occurred: str, recorded: str, ahead: bool) -> None:
    assert is_ahead(occurred, recorded) is ahead
