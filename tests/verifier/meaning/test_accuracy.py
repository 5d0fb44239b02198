"""What is disputed, until when, and what was shared meanwhile without saying so."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from ledger_verifier.meaning.case import CaseState, fold
from tests.verifier.meaning.case_events import correction_of, entry_of, id_of
from tests.verifier.meaning.test_erasing import executed

ABOUT: Final = id_of(1)
CONTESTED: Final = {"contested_events": [ABOUT], "decision_due": "2026-02-01"}


def folded(*found: Any) -> CaseState:
    state = None
    for one in found:
        state = fold(state, one)
        assert CaseState.from_json(state.to_json()) == state
    assert state is not None
    return state


def on(day: str, version: int, name: str, data: Mapping[str, Any]) -> Any:
    return {**entry_of(version, name, data), "occurred_at": day}


def shared(day: str, version: int, statement: object = "verified") -> Any:
    said = {"disclosure_id": id_of(90), "recipient_category": "school"}
    return on(day, version, "data.disclosed", {**said, "quality_statement": statement})


IDENTIFIED: Final = on("2026-01-01", 1, "subject.identified", {"purpose": "support"})
CONTEST: Final = on("2026-01-02", 2, "accuracy.contested", CONTESTED)
DECIDED: Final = on("2026-01-05", 3, "rectification.decided", {"contested_event": id_of(2)})


def test_what_is_contested_is_disputed_until_that_is_decided() -> None:
    state = folded(IDENTIFIED, CONTEST)
    assert state.disputed == (ABOUT,)
    assert state.to_json()["contests"] == [
        {
            "id": id_of(2),
            "contested_on": "2026-01-02",
            "events": [ABOUT],
            "decision_due": "2026-02-01",
            "disputed_until": None,
            "decided_event": None,
            "decided_on": None,
            "told": [],
        }
    ]
    assert folded(IDENTIFIED, CONTEST, DECIDED).disputed == ()


def test_what_several_contest_is_disputed_until_all_is_decided() -> None:
    other = on("2026-01-03", 4, "accuracy.contested", CONTESTED)
    assert folded(IDENTIFIED, CONTEST, other, DECIDED).disputed == (ABOUT,)
    last = on("2026-01-09", 5, "rectification.decided", {"contested_event": id_of(4)})
    assert folded(IDENTIFIED, CONTEST, other, DECIDED, last).disputed == ()


def test_a_decision_of_nothing_decides_nothing() -> None:
    wrong = on("2026-01-05", 3, "rectification.decided", {"contested_event": id_of(8)})
    assert folded(IDENTIFIED, CONTEST, wrong).disputed == (ABOUT,)
    assert folded(DECIDED).contests == ()


def test_the_newest_decision_stands_and_the_first_ends_the_dispute() -> None:
    again = on("2026-01-20", 4, "rectification.decided", {"contested_event": id_of(2)})
    (contest,) = folded(IDENTIFIED, CONTEST, DECIDED, again).contests
    assert (contest.decided_on, contest.decided_event) == ("2026-01-20", id_of(4))
    assert contest.disputed_until == "2026-01-05"


def test_a_recipient_is_told_of_the_newest_decision() -> None:
    share = shared("2026-01-01", 9)
    said = {"decided_event": id_of(3), "disclosure_id": id_of(90), "recipient_category": "school"}
    before = (IDENTIFIED, share, CONTEST, DECIDED)
    notice = on("2026-01-06", 4, "rectification.notified", said)
    state = folded(*before, notice)
    assert state.contests[0].told == (id_of(90),)
    assert "notice-matches-no-share" not in state.findings
    system = on("2026-01-06", 4, "rectification.notified", {"decided_event": id_of(3)})
    assert folded(*before, system).notices_of_no_share == 0
    for wrong in ({"disclosure_id": id_of(91)}, {"recipient_category": "health"}):
        other = on("2026-01-06", 4, "rectification.notified", {**said, **wrong})
        state = folded(*before, other)
        assert state.contests[0].told == ()
        assert "notice-matches-no-share" in state.findings
    again = on("2026-01-20", 5, "rectification.decided", {"contested_event": id_of(2)})
    assert folded(*before, notice, again).contests[0].told == ()


def test_a_notice_after_an_erasure_records_nothing_about_the_person() -> None:
    said = {"decided_event": id_of(3), "disclosure_id": id_of(90), "recipient_category": "school"}
    notice = on("2026-01-06", 4, "rectification.notified", said)
    assert folded(IDENTIFIED, CONTEST, executed(3, None), notice).recorded_since_erasure == 0


def test_a_mistake_is_set_off() -> None:
    assert folded(IDENTIFIED, CONTEST, entry_of(3, *correction_of(2))).disputed == ()
    state = folded(IDENTIFIED, CONTEST, DECIDED, entry_of(4, *correction_of(3)))
    assert state.disputed == (ABOUT,)


def test_after_an_erasure_of_the_whole_nothing_is_left_to_dispute() -> None:
    assert folded(IDENTIFIED, CONTEST, executed(3, None)).contests == ()


@pytest.mark.parametrize(
    ("day", "statement", "count"),
    [
        ("2026-01-01", "verified", 0),
        ("2026-01-02", "verified", 0),
        ("2026-01-03", "verified", 1),
        ("2026-01-04T10:00:00.000Z", "not-stated", 1),
        ("2026-01-04T10:00:00.000Z", "disputed", 0),
        ("2026-01-04", None, 0),
        ("2026-01-05", "verified", 0),
        ("2026-01-06", "verified", 0),
    ],
)
def test_a_share_of_what_is_disputed_says_so(day: str, statement: object, count: int) -> None:
    """The days are those of the acts, in whatever order they were recorded, as long as the contest
    was known."""
    state = folded(IDENTIFIED, CONTEST, DECIDED, shared(day, 4, statement))
    assert state.shared_as_undisputed == count
    assert ("shared-as-undisputed" in state.findings) is bool(count)
    unknown = folded(IDENTIFIED, shared(day, 2, statement), on("2026-01-02", 3, *_CONTEST))
    assert unknown.shared_as_undisputed == 0


_CONTEST: Final = ("accuracy.contested", CONTESTED)


def test_a_misattributed_entry_is_marked_and_counts_no_longer() -> None:
    told = on("2026-01-02", 2, "subject.notified", {"told_reasons": True})
    named = {"misattributed_event": id_of(2)}
    state = folded(IDENTIFIED, told, on("2026-01-03", 3, "entry.misattributed", named))
    assert not state.informed
    assert [act.corrected for act in state.acts] == [False, True, False]


def test_what_a_split_moves_is_marked_and_counts_no_longer() -> None:
    told = on("2026-01-02", 2, "subject.notified", {"told_reasons": True})
    closed = on("2026-01-03", 3, "case.closed", {"erase_due": "2026-09-01"})
    split = on("2026-01-04", 4, "case.split", {"moved_events": [id_of(2), id_of(3)]})
    state = folded(IDENTIFIED, told, closed, split)
    assert (state.informed, state.closed_on) == (False, None)
    assert [act.corrected for act in state.acts] == [False, True, True, False]
    undone = folded(IDENTIFIED, told, closed, split, on("2026-01-05", 5, *correction_of(4)))
    assert (undone.informed, undone.closed_on) == (True, "2026-01-03")


@pytest.mark.parametrize("events", [None, "x", 7, [], [1, None]])
def test_other_kinds_of_value_move_nothing(events: object) -> None:
    told = on("2026-01-02", 2, "subject.notified", {"told_reasons": True})
    state = folded(IDENTIFIED, told, on("2026-01-03", 3, "case.split", {"moved_events": events}))
    assert state.informed


def test_a_merged_case_has_nothing_of_what_was_done_before_it() -> None:
    merged = {"purpose": "support", "review_due": "2026-07-01"}
    state = folded(on("2026-01-01", 1, "cases.merged", merged))
    assert (state.status, state.merged_on, state.review_due) == (
        "merged",
        "2026-01-01",
        "2026-07-01",
    )
    state = folded(
        on("2026-01-01", 1, "cases.merged", merged),
        on("2026-01-02", 2, "cases.merged", {"purpose": "support", "review_due": None}),
        on("2026-01-03", 3, "subject.identified", {"purpose": "support", "review_due": None}),
    )
    assert (state.status, state.merged_on, state.review_due) == ("identified", "2026-01-01", None)


def test_what_was_shared_stays_owed_whoever_it_is_about() -> None:
    named = {"misattributed_event": id_of(2)}
    state = folded(
        IDENTIFIED, shared("2026-01-02", 2), on("2026-01-03", 3, "entry.misattributed", named)
    )
    assert [share.corrected for share in state.disclosures] == [True]


@pytest.mark.parametrize("events", [None, "x", 7, [], [1, None, ABOUT]])
def test_other_kinds_of_value_contest_nothing(events: object) -> None:
    state = folded(
        IDENTIFIED, on("2026-01-02", 2, "accuracy.contested", {"contested_events": events})
    )
    assert set(state.disputed) <= {ABOUT}
