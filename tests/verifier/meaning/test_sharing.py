"""Shares: what is said of one counts for that one, by its id and its category of recipient."""

from collections.abc import Sequence
from typing import Any

import pytest

from ledger_verifier.meaning.case_state import Disclosed
from tests.verifier.meaning.case_events import (
    ACKNOWLEDGED,
    ASKED,
    CONFIRMED,
    ERASED,
    IDENTIFIED,
    OTHER,
    SHARE,
    SHARED,
    Event,
    correction_of,
    state_of,
)


def of(event: Event, **said: Any) -> Event:
    """The same event, saying something else."""
    name, data = event
    return name, {**data, **said}


@pytest.mark.parametrize(
    "events",
    [
        [SHARED, of(CONFIRMED, disclosure_id=OTHER)],
        [SHARED, of(CONFIRMED, recipient_category="police")],
        [SHARED, of(CONFIRMED, disclosure_id=None)],
        [CONFIRMED, SHARED],
        [ACKNOWLEDGED, CONFIRMED, SHARED],
        [SHARED, of(ACKNOWLEDGED, disclosure_id=OTHER), of(CONFIRMED, disclosure_id=OTHER)],
    ],
)
def test_a_confirmation_for_no_recorded_share_confirms_nothing(events: Sequence[Event]) -> None:
    without = [event for event in events if event[0] != CONFIRMED[0]]
    state = state_of(*events, ERASED)
    # Neither is a share confirmed by it, nor is one added, nor does one cease to be outstanding.
    assert [(s.id, s.recipient_category, s.erasure_confirmed_on) for s in state.disclosures] == [
        (s.id, s.recipient_category, None) for s in state_of(*without, ERASED).disclosures
    ]
    assert f"recipient/{SHARE}" in state.outstanding
    assert state.outstanding == state_of(*without, ERASED).outstanding
    assert state.confirmations_of_no_share == 1
    assert "confirmation-matches-no-share" in state.findings
    assert "request-matches-no-share" not in state.findings


def test_a_request_for_no_recorded_share_tells_nobody() -> None:
    for events in ([ASKED], [ASKED, SHARED], [SHARED, of(ASKED, recipient_category="police")]):
        state = state_of(IDENTIFIED, *events)
        assert all(share.erasure_requested_on is None for share in state.disclosures)
        assert len(state.disclosures) == sum(event is SHARED for event in events)
        assert (state.requests_of_no_share, state.erasures_unconfirmed) == (1, 0)
        assert state.findings == ("request-matches-no-share",)


def test_what_is_said_of_a_share_again_changes_nothing_and_is_no_finding() -> None:
    state = state_of(SHARED, ASKED, ASKED, CONFIRMED, of(CONFIRMED, copies_found_band="1"))
    (share,) = state.disclosures
    assert (share.erasure_requested_on, share.erasure_confirmed_on) == ("2026-01-02", "2026-01-04")
    assert (share.copies_found_band, state.findings) == ("2-19", ())


def test_a_confirmation_that_was_a_mistake_is_set_off() -> None:
    mistaken = of(CONFIRMED, disclosure_id=OTHER)
    assert state_of(SHARED, mistaken, correction_of(2)).findings == ()
    state = state_of(SHARED, CONFIRMED, correction_of(2), CONFIRMED)
    assert state.disclosures[0].erasure_confirmed_on == "2026-01-04"
    # What is said of a share is said whenever it is corrected itself: the data has left.
    assert state_of(SHARED, CONFIRMED, correction_of(1)).disclosures[0].erasure_confirmed_on


def test_two_shares_under_one_id_are_confirmed_each_for_its_own_category() -> None:
    police = of(SHARED, recipient_category="police")
    state = state_of(SHARED, police, of(CONFIRMED, recipient_category="police"), ERASED)
    assert [share.erasure_confirmed_on for share in state.disclosures] == [None, "2026-01-03"]
    assert state.outstanding == (f"recipient/{SHARE}",)
    state = state_of(SHARED, SHARED, CONFIRMED, CONFIRMED, CONFIRMED)
    assert [share.erasure_confirmed_on for share in state.disclosures] == [
        "2026-01-03",
        "2026-01-04",
    ]


def test_an_acknowledgement_of_another_category_is_of_a_share_that_nobody_recorded() -> None:
    police = of(ACKNOWLEDGED, recipient_category="police")
    alone = Disclosed(SHARE, "police", acknowledged_on="2026-01-02")
    state = state_of(SHARED, police)
    assert (state.disclosures[1], state.unacknowledged) == (alone, 1)
    # As is one that came first, and is for another than was recorded then.
    state = state_of(IDENTIFIED, police, SHARED)
    assert (state.disclosures[0], state.unacknowledged) == (alone, 1)
    assert state.disclosures[1].disclosed_at == "2026-01-03"
