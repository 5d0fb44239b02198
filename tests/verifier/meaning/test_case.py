"""The case fold: what each type does to a case, and what it passes over."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from ledger_verifier.meaning.case import CHECKLIST, CaseState, fold
from tests.verifier.meaning.case_events import (
    ACKNOWLEDGED,
    ASKED,
    CASE,
    CLOSED,
    CONFIRMED,
    ERASED,
    IDENTIFIED,
    OFFERED,
    OTHER,
    SHARE,
    SHARED,
    TOLD_ALL,
    VERIFIED,
    Event,
    correction_of,
    entry_of,
    id_of,
    state_of,
)

#: The one share of the whole life below.
THE_SHARE: Final = {
    "id": SHARE,
    "recipient_category": "school",
    "purpose": "support",
    "gateway": "common-law-policing",
    "agreement_ref": None,
    "disclosed_at": "2026-01-04",
    "recipient_retention_until": "2026-12-31",
    "acknowledged_on": "2026-01-05",
    "erasure_requested_on": None,
    "erasure_confirmed_on": None,
    "copies_found_band": None,
    "corrected": False,
}
#: Its acts: of the open fields, those that the fold hears.
THE_ACTS: Final = [
    {
        "id": id_of(version),
        "type": name,
        "occurred_at": f"2026-01-0{version}",
        "said": dict(said),
        "corrected": False,
    }
    for version, (name, said) in enumerate(
        [
            IDENTIFIED,
            TOLD_ALL,
            OFFERED,
            ("data.disclosed", {n: v for n, v in SHARED[1].items() if v is not None}),
            ACKNOWLEDGED,
            ("case.closed", {"erase_due": "2026-09-01"}),
            ("erasure.executed", {"recorded_at": "2026-01-07T12:00:00.000Z", "through": 4}),
        ],
        1,
    )
]


#: The erasure at its end.
THE_ERASURE: Final = {
    "id": id_of(7),
    "erased_at": "2026-01-07T12:00:00.000Z",
    "stated_at": "2026-01-07",
    "through": 4,
    "versions": None,
    "ordered_event": None,
    "dual_control": False,
    "pack_offered": False,
    "barred": False,
    "verified_at": None,
    "checked": [],
    "horizon_days": None,
    "horizon_passed_on": None,
}


#: And all that is known of it then.
THE_STATE: Final = {
    "stream": f"case/{CASE}",
    "hub": "E09000023",
    "organisation": "lewisham-council",
    "version": 7,
    "opened_at": "2026-01-01",
    "merged_on": None,
    "last_occurred_at": "2026-01-07",
    "last_recorded_at": "2026-01-07T12:00:00.000Z",
    "identified_on": "2026-01-01",
    "purpose": "support",
    "screening": None,
    "screened_on": None,
    "notified_on": "2026-01-02",
    "told": list(CHECKLIST),
    "support": "support-offered",
    "support_offered_on": "2026-01-03",
    "support_answered_on": None,
    "reviewed_on": None,
    "closed_on": "2026-01-06",
    "review_due": None,
    "erase_due": None,
    "erasure_ordered_on": None,
    "erased_at": "2026-01-07T12:00:00.000Z",
    "erased_through": 4,
    "recorded_since_erasure": 0,
    "erasures": [THE_ERASURE],
    "sources": [],
    "holds": [],
    "open_requests": [],
    "barring_requests": [],
    "disclosures": [THE_SHARE],
    "requests_of_no_share": 0,
    "confirmations_of_no_share": 0,
    "contests": [],
    "shared_as_undisputed": 0,
    "notices_of_no_share": 0,
    "acts": THE_ACTS,
    "counts": {
        "case.closed": 1,
        "data.disclosed": 1,
        "disclosure.acknowledged": 1,
        "erasure.executed": 1,
        "subject.identified": 1,
        "subject.notified": 1,
        "support.offered": 1,
    },
    "status": "erasing",
    "informed": True,
    "not_told": [],
    "disputed": [],
    "unacknowledged": 0,
    "erasures_unconfirmed": 0,
    "outstanding": [f"recipient/{SHARE}"],
    "findings": ["dual-control-not-evidenced", "pack-not-offered"],
}


def test_a_whole_life() -> None:
    events = [IDENTIFIED, TOLD_ALL, OFFERED, SHARED, ACKNOWLEDGED, CLOSED, ERASED]
    stages = [state_of(*events[:count]).status for count in range(1, len(events) + 1)]
    assert stages == [
        "identified",
        "informed",
        "support-offered",
        "support-offered",
        "support-offered",
        "closed",
        "erasing",
    ]
    assert state_of(*events).to_json() == THE_STATE


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([OFFERED], "support-offered"),
        ([("record.altered", {})], "opened"),
        ([IDENTIFIED, ("screening.decided", {"outcome": "accepted"})], "accepted"),
        ([IDENTIFIED, ("screening.decided", {"outcome": "rejected"})], "not-accepted"),
        ([IDENTIFIED, ("screening.decided", {"outcome": "referred-on"})], "not-accepted"),
        ([IDENTIFIED, ("screening.decided", {"outcome": "put-off"})], "identified"),
        ([IDENTIFIED, ("screening.decided", {})], "identified"),
        ([IDENTIFIED, OFFERED, ("support.accepted", {})], "in-support"),
        ([IDENTIFIED, OFFERED, ("support.declined", {})], "support-declined"),
        ([IDENTIFIED, ("support.declined", {}), OFFERED], "support-offered"),
        ([IDENTIFIED, CLOSED, ("erasure.ordered", {})], "erasure-due"),
        ([IDENTIFIED, OFFERED, TOLD_ALL], "support-offered"),
        ([CLOSED, ERASED], "erasing"),
        ([CLOSED, ERASED, VERIFIED], "erased"),
        ([CLOSED, ERASED, CLOSED], "recorded-since-erasure"),
        ([CLOSED, ERASED, ("weather.changed", {})], "recorded-since-erasure"),
        ([CLOSED, ERASED, CLOSED, ERASED], "erasing"),
        ([SHARED, ERASED, VERIFIED, ASKED], "erasing"),
        ([SHARED, ERASED, VERIFIED, ASKED, CONFIRMED], "erased"),
    ],
)
def test_status(events: Sequence[Event], status: str) -> None:
    assert state_of(*events).status == status


def test_what_is_recorded_after_an_erasure_is_counted() -> None:
    state = state_of(IDENTIFIED, CLOSED, ERASED, CLOSED, SHARED, correction_of(4))
    assert (state.status, state.recorded_since_erasure) == ("recorded-since-erasure", 3)
    assert CaseState.from_json(state.to_json()) == state
    anew = state_of(IDENTIFIED, CLOSED, ERASED, IDENTIFIED)
    assert (anew.status, anew.recorded_since_erasure) == ("identified", 1)


def test_telling_without_the_reasons_does_not_inform() -> None:
    partly = ("subject.notified", {"told_rights": True, "told_reasons": False})
    state = state_of(IDENTIFIED, partly)
    assert not state.informed
    assert state.status == "identified"
    assert state.told == ("told_rights",)
    assert state.not_told == tuple(item for item in CHECKLIST if item != "told_rights")
    later = state_of(IDENTIFIED, partly, ("subject.notified", {"told_reasons": True}))
    assert later.informed
    assert later.told == ("told_reasons", "told_rights")
    assert later.notified_on == "2026-01-02"


def test_something_is_always_due_until_the_erasure() -> None:
    assert state_of(IDENTIFIED).review_due == "2026-04-12"
    assert state_of(IDENTIFIED, ("case.reviewed", {"review_due": "2026-07-12"})).review_due == (
        "2026-07-12"
    )
    undated = state_of(IDENTIFIED, ("case.reviewed", {"review_due": None}))
    assert (undated.review_due, undated.reviewed_on) == ("2026-04-12", "2026-01-02")
    closed = state_of(IDENTIFIED, CLOSED)
    assert (closed.review_due, closed.erase_due) == (None, "2026-09-01")
    undated = state_of(IDENTIFIED, ("case.closed", {"erase_due": None}))
    assert (undated.review_due, undated.erase_due) == ("2026-04-12", None)


def test_the_days_of_screening_support_and_the_order_to_erase() -> None:
    state = state_of(
        IDENTIFIED,
        ("screening.decided", {"outcome": "accepted"}),
        OFFERED,
        ("support.accepted", {}),
        CLOSED,
        ("erasure.ordered", {"trigger": "ordered", "erase_due": "2026-02-01"}),
    )
    assert (state.screened_on, state.support_answered_on) == ("2026-01-02", "2026-01-04")
    assert (state.erasure_ordered_on, state.erase_due) == ("2026-01-06", "2026-02-01")
    undated = state_of(IDENTIFIED, CLOSED, ("erasure.ordered", {"erase_due": None}))
    assert undated.erase_due == "2026-09-01"


def test_identified_anew_after_closing_is_owed_everything_again() -> None:
    again = ("subject.identified", {"purpose": "safeguarding", "review_due": None})
    state = state_of(IDENTIFIED, TOLD_ALL, OFFERED, SHARED, CLOSED, again)
    assert state.status == "identified"
    assert state.identified_on == "2026-01-06"
    assert state.purpose == "safeguarding"
    assert not state.informed
    assert state.closed_on is None
    assert len(state.disclosures) == 1
    erased = state_of(IDENTIFIED, TOLD_ALL, CLOSED, ERASED, again)
    assert (erased.status, erased.erased_through) == ("identified", 4)


def test_a_second_identification_of_an_open_case_keeps_the_first_date() -> None:
    state = state_of(IDENTIFIED, TOLD_ALL, IDENTIFIED)
    assert state.identified_on == "2026-01-01"
    assert state.informed


def test_an_acknowledgement_may_come_first() -> None:
    state = state_of(IDENTIFIED, ACKNOWLEDGED)
    (share,) = state.disclosures
    assert (share.disclosed_at, share.acknowledged_on) == (None, "2026-01-02")
    (share,) = state_of(IDENTIFIED, ACKNOWLEDGED, SHARED).disclosures
    assert (share.disclosed_at, share.acknowledged_on) == ("2026-01-03", "2026-01-02")


def test_a_second_share_under_the_same_id_does_not_hide() -> None:
    state = state_of(SHARED, SHARED, ACKNOWLEDGED)
    assert [share.disclosed_at for share in state.disclosures] == ["2026-01-01", "2026-01-02"]
    assert [share.acknowledged_on for share in state.disclosures] == ["2026-01-03", None]
    assert state.unacknowledged == 1
    assert state_of(SHARED, SHARED, ACKNOWLEDGED, ACKNOWLEDGED).unacknowledged == 0
    assert len(state_of(SHARED, ACKNOWLEDGED, ACKNOWLEDGED).disclosures) == 1


def test_an_unknown_type_advances_versions_and_times_alone() -> None:
    before = state_of(IDENTIFIED, TOLD_ALL)
    after = fold(before, entry_of(3, "weather.changed", {"review_due": "2020-01-01"}))
    changed = {"version", "last_occurred_at", "last_recorded_at", "counts"}
    was, now = before.to_json(), after.to_json()
    assert {name for name in was if was[name] != now[name]} == changed
    assert after.version == 3


def test_an_entry_of_another_stream_is_the_callers_fault() -> None:
    other = entry_of(2, "case.closed", {})
    other["stream"]["id"] = OTHER
    with pytest.raises(ValueError, match="another stream"):
        fold(state_of(IDENTIFIED), other)


@pytest.mark.parametrize(
    "change",
    [
        {"told": 1},
        {"disclosures": [{"x": 1}]},
        {"acts": [{"x": 1}]},
        {"acts": [{"id": "", "type": "", "occurred_at": "", "said": []}]},
        {"counts": []},
    ],
)
def test_what_is_no_stored_state_is_refused(change: Mapping[str, Any]) -> None:
    stored = state_of(IDENTIFIED).to_json()
    with pytest.raises(ValueError, match="not the stored state"):
        CaseState.from_json({**stored, **change})
    del stored["version"]
    with pytest.raises(ValueError, match="not the stored state"):
        CaseState.from_json(stored)
