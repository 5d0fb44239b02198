"""The case fold over any entries: it never trips, it can be resumed, and corrections are exact."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_verifier.meaning.case import LASTING, CaseState, fold
from tests.verifier.meaning.case_events import (
    ACKNOWLEDGED,
    ASKED,
    CLOSED,
    CONFIRMED,
    ERASED,
    IDENTIFIED,
    OFFERED,
    OTHER,
    SHARE,
    SHARED,
    TOLD_ALL,
    Event,
    correction_of,
    entry_of,
    id_of,
)

QUICK: Final = settings(max_examples=80, deadline=None, database=None)

_TYPES = st.sampled_from(
    [
        *(event[0] for event in (IDENTIFIED, TOLD_ALL, OFFERED, SHARED, CLOSED, ERASED)),
        "disclosure.acknowledged",
        "screening.decided",
        "support.accepted",
        "support.declined",
        "case.reviewed",
        "erasure.ordered",
        "recipient_erasure.requested",
        "recipient_erasure.confirmed",
        "source_erasure.confirmed",
        "record.altered",
        "event.corrected",
        "weather.changed",
    ]
)
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 9),
    st.sampled_from([SHARE, OTHER, "support", "accepted", "rejected", "2026-05-01"]),
    st.integers(1, 14).map(id_of),
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
        "corrected_event",
        "executed_event",
    ]
)
_DATA = st.dictionaries(_NAMES, _VALUES)
_LIKELY = st.sampled_from(
    [IDENTIFIED, TOLD_ALL, OFFERED, SHARED, ACKNOWLEDGED, ASKED, CONFIRMED, CLOSED, ERASED]
)
_CORRECTIONS = st.integers(1, 14).map(correction_of)
_OF_SOURCES = st.integers(1, 14).map(
    lambda version: ("source_erasure.confirmed", {"executed_event": id_of(version)})
)
_EVENTS = st.lists(
    _LIKELY | st.tuples(_TYPES, _DATA) | _CORRECTIONS | _OF_SOURCES, min_size=1, max_size=14
)


def _sent(version: int, name: str, data: Mapping[str, Any]) -> Any:
    """By one of two systems."""
    who = {"source": ("one", "other")[version % 2], "submitted_by": OTHER}
    return {**entry_of(version, name, data), **who}


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
        entry = _sent(version, name, data)
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
        entry = _sent(version, name, data)
        following = fold(state, entry)
        assert (state and state.to_json()) == before
        assert following.version == version == sum(count for _, count in following.counts)
        assert following.status
        state = following


#: What tells an entry from its absence even when it has no say.
_TRACES: Final = frozenset(
    {"recorded_since_erasure", "version", "last_occurred_at", "last_recorded_at", "counts", "acts"}
)


@QUICK
@given(
    st.lists(_LIKELY | st.tuples(_TYPES, _DATA), min_size=2, max_size=10).filter(
        lambda events: all(name != "event.corrected" for name, _ in events)
    ),
    st.data(),
)
def test_a_corrected_entry_is_as_if_it_had_never_been(
    events: list[Event], data: st.DataObject
) -> None:
    last = len(events)
    chosen = data.draw(st.integers(2, last))
    state: CaseState | None = None
    without: CaseState | None = None
    for version, (name, fields) in enumerate([*events, correction_of(chosen)], 1):
        entry = entry_of(version, name, fields)
        state = fold(state, entry)
        if version != chosen or name in LASTING:
            without = fold(without, entry)
    assert state is not None
    assert without is not None
    one, other = state.to_json(), without.to_json()
    for share in (*one["disclosures"], *other["disclosures"]):
        share["corrected"] = False
    assert {n: v for n, v in one.items() if n not in _TRACES} == {
        n: v for n, v in other.items() if n not in _TRACES
    }
