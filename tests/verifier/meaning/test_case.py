"""The case fold: what each type does to a case, that it never trips, and that it can be resumed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_verifier.meaning.case import CHECKLIST, CaseState, fold

CASE: Final = "eeee7355-6f02-4483-9508-e050abda62a8"
SHARE: Final = "945c907b-c118-4866-929e-6868047e2168"
OTHER: Final = "b948c159-68ce-46fb-bc18-8d190180d5e1"
Event = tuple[str, Mapping[str, Any]]

QUICK: Final = settings(max_examples=150, deadline=None, database=None)


def _entry(version: int, name: str, data: Mapping[str, Any], day: int | None = None) -> Any:
    number = version if day is None else day
    return {
        "type": name,
        "schema": 1,
        "stream": {"kind": "case", "id": CASE, "version": version, "previous": None},
        "occurred_at": f"2026-01-{number:02}",
        "recorded_at": f"2026-01-{number:02}T12:00:00.000Z",
        "hub": "E09000023",
        "organisation": "lewisham-council",
        "data": {**data, "_sd": []},
    }


def _state(*events: Event) -> CaseState:
    state = None
    for version, (name, data) in enumerate(events, 1):
        state = fold(state, _entry(version, name, data))
    assert state is not None
    return state


IDENTIFIED: Final[Event] = (
    "subject.identified",
    {"purpose": "support", "review_due": "2026-04-12"},
)
TOLD_ALL: Final[Event] = ("subject.notified", dict.fromkeys(CHECKLIST, True))
OFFERED: Final[Event] = ("support.offered", {})
CLOSED: Final[Event] = ("case.closed", {"review_period_months": 3, "erase_due": "2026-09-01"})
ERASED: Final[Event] = ("erasure.executed", {"trigger": "scheduled", "key_ids": [], "through": 4})
SHARED: Final[Event] = (
    "data.disclosed",
    {
        "disclosure_id": SHARE,
        "recipient_category": "school",
        "purpose": "support",
        "gateway": "common-law-policing",
        "agreement_ref": None,
        "recipient_retention_until": "2026-12-31",
    },
)
ACKNOWLEDGED: Final[Event] = (
    "disclosure.acknowledged",
    {"disclosure_id": SHARE, "recipient_category": "school"},
)


def test_a_whole_life() -> None:
    events = [IDENTIFIED, TOLD_ALL, OFFERED, SHARED, ACKNOWLEDGED, CLOSED, ERASED]
    stages = [_state(*events[:count]).status for count in range(1, len(events) + 1)]
    assert stages == [
        "identified",
        "informed",
        "support-offered",
        "support-offered",
        "support-offered",
        "closed",
        "erased",
    ]
    assert _state(*events).to_json() == {
        "stream": f"case/{CASE}",
        "hub": "E09000023",
        "organisation": "lewisham-council",
        "version": 7,
        "opened_at": "2026-01-01",
        "last_occurred_at": "2026-01-07",
        "last_recorded_at": "2026-01-07T12:00:00.000Z",
        "identified_on": "2026-01-01",
        "purpose": "support",
        "screening": None,
        "notified_on": "2026-01-02",
        "told": list(CHECKLIST),
        "support": "support-offered",
        "support_offered_on": "2026-01-03",
        "closed_on": "2026-01-06",
        "review_due": None,
        "erase_due": None,
        "erasure_ordered_on": None,
        "erased_at": "2026-01-07",
        "erased_through": 4,
        "disclosures": [
            {
                "id": SHARE,
                "recipient_category": "school",
                "purpose": "support",
                "gateway": "common-law-policing",
                "agreement_ref": None,
                "disclosed_at": "2026-01-04",
                "recipient_retention_until": "2026-12-31",
                "acknowledged_on": "2026-01-05",
            }
        ],
        "counts": {
            "case.closed": 1,
            "data.disclosed": 1,
            "disclosure.acknowledged": 1,
            "erasure.executed": 1,
            "subject.identified": 1,
            "subject.notified": 1,
            "support.offered": 1,
        },
        "status": "erased",
        "informed": True,
        "not_told": [],
        "unacknowledged": 0,
    }


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([OFFERED], "support-offered"),
        ([("record.altered", {})], "opened"),
        ([IDENTIFIED, ("screening.decided", {"outcome": "accepted"})], "accepted"),
        ([IDENTIFIED, ("screening.decided", {"outcome": "refused"})], "not-accepted"),
        ([IDENTIFIED, ("screening.decided", {})], "identified"),
        ([IDENTIFIED, OFFERED, ("support.accepted", {})], "in-support"),
        ([IDENTIFIED, OFFERED, ("support.declined", {})], "support-declined"),
        ([IDENTIFIED, CLOSED, ("erasure.ordered", {})], "erasure-due"),
        ([IDENTIFIED, OFFERED, TOLD_ALL], "support-offered"),
        ([CLOSED, ERASED], "erased"),
    ],
)
def test_status(events: Sequence[Event], status: str) -> None:
    assert _state(*events).status == status


def test_telling_without_the_reasons_does_not_inform() -> None:
    partly = ("subject.notified", {"told_rights": True, "told_reasons": False})
    state = _state(IDENTIFIED, partly)
    assert not state.informed
    assert state.status == "identified"
    assert state.told == ("told_rights",)
    assert state.not_told == tuple(item for item in CHECKLIST if item != "told_rights")
    later = _state(IDENTIFIED, partly, ("subject.notified", {"told_reasons": True}))
    assert later.informed
    assert later.told == ("told_reasons", "told_rights")
    assert later.notified_on == "2026-01-02"


def test_something_is_always_due_until_the_erasure() -> None:
    assert _state(IDENTIFIED).review_due == "2026-04-12"
    assert _state(IDENTIFIED, ("case.reviewed", {"review_due": "2026-07-12"})).review_due == (
        "2026-07-12"
    )
    closed = _state(IDENTIFIED, CLOSED)
    assert (closed.review_due, closed.erase_due) == (None, "2026-09-01")
    undated = _state(IDENTIFIED, ("case.closed", {"erase_due": None}))
    assert (undated.review_due, undated.erase_due) == ("2026-04-12", None)


def test_identified_anew_after_closing_is_owed_everything_again() -> None:
    again = ("subject.identified", {"purpose": "safeguarding", "review_due": None})
    state = _state(IDENTIFIED, TOLD_ALL, OFFERED, SHARED, CLOSED, again)
    assert state.status == "identified"
    assert state.identified_on == "2026-01-06"
    assert state.purpose == "safeguarding"
    assert not state.informed
    assert state.closed_on is None
    assert len(state.disclosures) == 1
    erased = _state(IDENTIFIED, TOLD_ALL, CLOSED, ERASED, again)
    assert (erased.status, erased.erased_through) == ("identified", 4)


def test_a_second_identification_of_an_open_case_keeps_the_first_date() -> None:
    state = _state(IDENTIFIED, TOLD_ALL, IDENTIFIED)
    assert state.identified_on == "2026-01-01"
    assert state.informed


def test_an_acknowledgement_may_come_first() -> None:
    state = _state(IDENTIFIED, ACKNOWLEDGED)
    (share,) = state.disclosures
    assert (share.disclosed_at, share.acknowledged_on) == (None, "2026-01-02")
    (share,) = _state(IDENTIFIED, ACKNOWLEDGED, SHARED).disclosures
    assert (share.disclosed_at, share.acknowledged_on) == ("2026-01-03", "2026-01-02")


def test_a_second_share_under_the_same_id_does_not_hide() -> None:
    state = _state(SHARED, SHARED, ACKNOWLEDGED)
    assert [share.disclosed_at for share in state.disclosures] == ["2026-01-01", "2026-01-02"]
    assert [share.acknowledged_on for share in state.disclosures] == ["2026-01-03", None]
    assert state.unacknowledged == 1
    assert _state(SHARED, SHARED, ACKNOWLEDGED, ACKNOWLEDGED).unacknowledged == 0
    assert len(_state(SHARED, ACKNOWLEDGED, ACKNOWLEDGED).disclosures) == 1


def test_an_unknown_type_advances_versions_and_times_alone() -> None:
    before = _state(IDENTIFIED, TOLD_ALL)
    after = fold(before, _entry(3, "weather.changed", {"review_due": "2020-01-01"}))
    changed = {"version", "last_occurred_at", "last_recorded_at", "counts"}
    was, now = before.to_json(), after.to_json()
    assert {name for name in was if was[name] != now[name]} == changed
    assert after.version == 3


def test_an_entry_of_another_stream_is_the_callers_fault() -> None:
    other = _entry(2, "case.closed", {})
    other["stream"]["id"] = OTHER
    with pytest.raises(ValueError, match="another stream"):
        fold(_state(IDENTIFIED), other)


@pytest.mark.parametrize("change", [{"told": 1}, {"disclosures": [{"x": 1}]}, {"counts": []}])
def test_what_is_no_stored_state_is_refused(change: Mapping[str, Any]) -> None:
    stored = _state(IDENTIFIED).to_json()
    with pytest.raises(ValueError, match="not the stored state"):
        CaseState.from_json({**stored, **change})
    del stored["version"]
    with pytest.raises(ValueError, match="not the stored state"):
        CaseState.from_json(stored)


_TYPES = st.sampled_from(
    [
        *(event[0] for event in (IDENTIFIED, TOLD_ALL, OFFERED, SHARED, CLOSED, ERASED)),
        "disclosure.acknowledged",
        "screening.decided",
        "support.accepted",
        "support.declined",
        "case.reviewed",
        "erasure.ordered",
        "weather.changed",
    ]
)
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 9),
    st.sampled_from([SHARE, OTHER, "support", "accepted", "2026-05-01"]),
    st.lists(st.sampled_from([SHARE, OTHER]), max_size=2),
)
_NAMES = st.sampled_from(
    [
        "purpose",
        "review_due",
        "erase_due",
        "outcome",
        "through",
        "told_reasons",
        "told_rights",
        "disclosure_id",
        "recipient_category",
        "gateway",
    ]
)
_DATA = st.dictionaries(_NAMES, _VALUES)
_LIKELY = st.sampled_from([IDENTIFIED, TOLD_ALL, OFFERED, SHARED, ACKNOWLEDGED, CLOSED, ERASED])
_EVENTS = st.lists(_LIKELY | st.tuples(_TYPES, _DATA), min_size=1, max_size=14)


def _stored(state: CaseState | None) -> CaseState | None:
    """Through bytes, as a projection keeps it, and back."""
    return (
        None if state is None else CaseState.from_json(orjson.loads(orjson.dumps(state.to_json())))
    )


@QUICK
@given(_EVENTS, st.sets(st.integers(0, 14)))
def test_a_fold_that_was_stored_anywhere_is_the_fold_at_once(
    events: list[Event], splits: set[int]
) -> None:
    at_once: CaseState | None = None
    resumed: CaseState | None = None
    for version, (name, data) in enumerate(events, 1):
        entry = _entry(version, name, data)
        at_once = fold(at_once, entry)
        if version in splits:
            resumed = _stored(resumed)
        resumed = fold(resumed, entry)
    assert resumed == at_once
    assert _stored(resumed) == at_once
    assert resumed is not None
    assert at_once is not None
    assert orjson.dumps(resumed.to_json()) == orjson.dumps(at_once.to_json())


@QUICK
@given(_EVENTS)
def test_a_fold_counts_every_entry_and_leaves_the_state_before_alone(
    events: list[Event],
) -> None:
    state: CaseState | None = None
    for version, (name, data) in enumerate(events, 1):
        before = state and state.to_json()
        entry = _entry(version, name, data)
        following = fold(state, entry)
        assert (state and state.to_json()) == before
        assert following.version == version == sum(count for _, count in following.counts)
        assert following.status
        state = following
