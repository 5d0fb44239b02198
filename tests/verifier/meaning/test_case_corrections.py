"""The case fold: what recipients of data were told to erase, and entries said to be a mistake."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.verifier.meaning.case_events import (
    ASKED,
    CLOSED,
    CONFIRMED,
    ERASED,
    IDENTIFIED,
    OFFERED,
    OTHER,
    SHARED,
    TOLD_ALL,
    Event,
    correction_of,
    state_of,
)


def test_a_recipient_that_was_asked_to_erase_is_outstanding_until_it_confirms() -> None:
    assert state_of(IDENTIFIED, SHARED).erasures_unconfirmed == 0
    asked = state_of(IDENTIFIED, SHARED, ASKED, ERASED)
    assert (asked.erasures_unconfirmed, asked.status) == (1, "erasing")
    assert state_of(IDENTIFIED, SHARED, ASKED, ASKED).disclosures[0].erasure_requested_on == (
        "2026-01-03"
    )
    confirmed = state_of(IDENTIFIED, SHARED, ASKED, ERASED, CONFIRMED)
    assert confirmed.erasures_unconfirmed == 0
    (share,) = confirmed.disclosures
    assert (share.erasure_confirmed_on, share.copies_found_band) == ("2026-01-05", "2-19")


def test_what_is_corrected_stays_in_sight_and_has_no_say() -> None:
    declined: Event = ("support.declined", {})
    accepted: Event = ("support.accepted", {})
    state = state_of(IDENTIFIED, OFFERED, accepted, declined, correction_of(4))
    assert (state.status, state.support_answered_on) == ("in-support", "2026-01-03")
    assert [act.corrected for act in state.acts] == [False, False, False, True, False]
    assert dict(state.counts)["support.declined"] == 1
    assert not state_of(IDENTIFIED, TOLD_ALL, correction_of(2)).informed
    assert state_of(IDENTIFIED, CLOSED, correction_of(2)).review_due == "2026-04-12"
    withdrawn = state_of(IDENTIFIED, CLOSED, ("erasure.ordered", {}), correction_of(3))
    assert withdrawn.status == "closed"
    again = state_of(IDENTIFIED, SHARED, ASKED, CONFIRMED, correction_of(4))
    assert again.erasures_unconfirmed == 1


def test_what_was_collected_shared_or_erased_is_not_undone_by_a_correction() -> None:
    state = state_of(
        IDENTIFIED, SHARED, ERASED, correction_of(1), correction_of(2), correction_of(3)
    )
    # A correction seals what was wrong: about the person, and after the erasure.
    assert (state.status, state.identified_on) == ("recorded-since-erasure", "2026-01-01")
    assert state.erased_at == "2026-01-03T12:00:00.000Z"
    (share,) = state.disclosures
    assert (share.disclosed_at, share.corrected) == ("2026-01-02", True)
    assert [act.corrected for act in state.acts] == [True, True, True, False, False, False]


def test_a_correction_that_is_corrected_has_no_effect() -> None:
    taken_back = state_of(IDENTIFIED, TOLD_ALL, correction_of(2), correction_of(3))
    assert taken_back.informed
    assert [act.corrected for act in taken_back.acts] == [False, False, True, False]
    assert not state_of(
        IDENTIFIED, TOLD_ALL, correction_of(2), correction_of(3), correction_of(4)
    ).informed


@pytest.mark.parametrize(
    "data", [{}, {"corrected_event": None}, {"corrected_event": 7}, {"corrected_event": OTHER}]
)
def test_a_correction_of_nothing_known_changes_nothing(data: Mapping[str, Any]) -> None:
    before = state_of(IDENTIFIED, TOLD_ALL).to_json()
    after = state_of(IDENTIFIED, TOLD_ALL, ("event.corrected", data)).to_json()
    changed = {"version", "last_occurred_at", "last_recorded_at", "counts", "acts"}
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_correction_speaks_of_earlier_entries_alone() -> None:
    assert state_of(IDENTIFIED, correction_of(3), TOLD_ALL).informed
    assert state_of(IDENTIFIED, correction_of(3), TOLD_ALL, correction_of(9)).informed


def test_a_log_in_the_sense_of_section_62_never_feeds_the_state() -> None:
    state = state_of(IDENTIFIED, ("record.altered", {"review_due": "2020-01-01", "through": 1}))
    assert len(state.acts) == 1
    assert state.review_due == "2026-04-12"
