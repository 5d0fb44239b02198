"""What bars an erasure, whether it was under dual control, and who still owes word of it."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from ledger_verifier.meaning.case import CaseState, fold
from ledger_verifier.meaning.certified import controller_facts, subject_facts
from ledger_verifier.meaning.frozen import findings_of
from tests.verifier.meaning.case_events import (
    CLOSED,
    CONFIRMED,
    IDENTIFIED,
    SHARE,
    SHARED,
    TOLD_ALL,
    correction_of,
    entry_of,
    id_of,
    state_of,
)

ONE: Final = "11111111-1111-4111-8111-111111111111"
TWO: Final = "22222222-2222-4222-8222-222222222222"
THREE: Final = "33333333-3333-4333-8333-333333333333"


def entry(version: int, name: str, data: Mapping[str, Any], **envelope: Any) -> Any:
    who = {"source": "lewisham-cases", "actor": ONE, "submitted_by": TWO}
    return {**entry_of(version, name, data), **who, **envelope}


def folded(*found: Any) -> CaseState:
    state = None
    for one in found:
        state = fold(state, one)
    assert state is not None
    assert CaseState.from_json(state.to_json()) == state
    return state


def executed(version: int, order: int | None, **envelope: Any) -> Any:
    named = None if order is None else id_of(order)
    data = {"through": version - 1, "versions": None, "ordered_event": named}
    return entry(version, "erasure.executed", data, **envelope)


ORDERED: Final = entry(1, "erasure.ordered", {"erase_due": "2026-02-01"})


@pytest.mark.parametrize(
    ("envelope", "dual"),
    [
        ({"actor": THREE, "submitted_by": THREE}, True),
        ({"actor": ONE, "submitted_by": THREE}, False),
        ({"actor": THREE, "submitted_by": TWO}, False),
        ({"actor": None, "submitted_by": THREE}, False),
    ],
)
def test_dual_control_is_other_people_and_other_credentials(
    envelope: Mapping[str, Any], dual: bool
) -> None:
    state = folded(ORDERED, executed(2, 1, **envelope))
    assert state.erasures[0].dual_control is dual
    assert ("dual-control-not-evidenced" in state.findings) is not dual


def test_an_order_that_is_not_named_not_there_later_or_mistaken_evidences_nothing() -> None:
    other = {"actor": THREE, "submitted_by": THREE}
    assert not folded(ORDERED, executed(2, None, **other)).erasures[0].dual_control
    assert not folded(ORDERED, executed(2, 9, **other)).erasures[0].dual_control
    later = entry(2, "erasure.ordered", {"erase_due": None})
    corrected = entry(3, *correction_of(9))
    assert not folded(executed(1, 2, **other), later, corrected).erasures[0].dual_control
    mistaken = folded(ORDERED, executed(2, 1, **other), entry(3, *correction_of(1)))
    assert not mistaken.erasures[0].dual_control


@pytest.mark.parametrize(
    ("before", "after", "barred"),
    [
        (("legal_hold.placed", {}), None, True),
        (("legal_hold.placed", {}), ("legal_hold.released", {"placed_event": id_of(1)}), False),
        (("access_request.received", {}), None, True),
        (
            ("access_request.received", {}),
            ("access_request.waived", {"request_event": id_of(1)}),
            False,
        ),
        (("case.reviewed", {}), None, False),
    ],
)
def test_an_erasure_while_something_bars_it_is_found(
    before: tuple[str, Any], after: tuple[str, Any] | None, barred: bool
) -> None:
    acts = [entry(1, *before)] + ([] if after is None else [entry(2, *after)])
    state = folded(*acts, executed(3, None))
    assert ("erased-while-barred" in state.findings) is barred


def test_an_order_of_some_entries_is_done_with_them() -> None:
    some = {"through": 0, "versions": [1], "ordered_event": id_of(1)}
    done = entry(2, "erasure.executed", some)
    assert folded(ORDERED).status == "erasure-due"
    assert folded(ORDERED, done).status == "opened"
    other = entry(2, "erasure.ordered", {"erase_due": None})
    assert folded(ORDERED, other, entry(3, "erasure.executed", some)).status == "erasure-due"
    unnamed = entry(2, "erasure.executed", {**some, "ordered_event": None})
    assert folded(ORDERED, unnamed).status == "erasure-due"


OFFERED: Final = entry(1, "pack.offered", {})


def test_a_pack_is_offered_before_each_erasure_of_the_whole() -> None:
    assert "pack-not-offered" not in folded(OFFERED).findings
    offered = folded(OFFERED, executed(2, None))
    assert (offered.erasures[0].pack_offered, offered.status) == (True, "erasing")
    assert "pack-not-offered" not in offered.findings
    late = folded(executed(1, None), entry(2, "pack.offered", {}))
    assert "pack-not-offered" in late.findings
    mistaken = folded(OFFERED, executed(2, None), entry(3, *correction_of(1)))
    assert "pack-not-offered" in mistaken.findings
    other = folded(OFFERED, entry(2, "pack.offered", {}), entry(3, *correction_of(1)))
    assert "pack-not-offered" not in fold(other, executed(4, None)).findings
    # One offer answers for one erasure; an erasure of some entries needs and uses up none.
    again = folded(OFFERED, executed(2, None), executed(3, None))
    assert [one.pack_offered for one in again.erasures] == [True, False]
    some = entry(2, "erasure.executed", {"through": 1, "versions": [1], "ordered_event": None})
    assert "pack-not-offered" not in folded(entry(1, *IDENTIFIED), some).findings
    assert "pack-not-offered" not in folded(OFFERED, some, executed(3, None)).findings


def test_what_the_person_is_told_holds_no_finding() -> None:
    exports = {"taken": 0, "destroyed": 0}
    told = [
        subject_facts(controller_facts(folded(*first, executed(2, None))), exports)
        for first in ([OFFERED], [entry(1, *IDENTIFIED)])
    ]
    assert told[0] == told[1]


def test_holds_stand_until_they_are_released_or_were_a_mistake() -> None:
    placed = ("legal_hold.placed", {"review_due": None})
    released = ("legal_hold.released", {"placed_event": id_of(2)})
    assert state_of(IDENTIFIED, placed, placed).holds == (id_of(2), id_of(3))
    assert state_of(IDENTIFIED, placed, placed, released).holds == (id_of(3),)
    assert state_of(IDENTIFIED, placed, correction_of(2)).holds == ()


def test_a_request_bars_unless_a_day_was_fixed_before_it_or_it_was_waived() -> None:
    asked = ("access_request.received", {"route": "writing", "answer_due": None})
    answered = ("access_request.answered", {"request_event": id_of(2)})
    waived = ("access_request.waived", {"request_event": id_of(2)})
    state = state_of(IDENTIFIED, asked)
    assert (state.open_requests, state.barring_requests) == ((id_of(2),), (id_of(2),))
    state = state_of(IDENTIFIED, asked, CLOSED)
    assert state.barring_requests == (id_of(2),)
    state = state_of(CLOSED, asked)
    assert (state.open_requests, state.barring_requests) == ((id_of(2),), ())
    state = state_of(IDENTIFIED, asked, waived)
    assert (state.open_requests, state.barring_requests) == ((id_of(2),), ())
    assert state_of(IDENTIFIED, asked, answered).open_requests == ()


def test_everyone_who_had_the_data_is_outstanding_until_they_confirm() -> None:
    share = entry(2, *SHARED, source="met-crimint")
    found = [entry(1, *IDENTIFIED), share, executed(3, None)]
    state = folded(*found)
    waiting = (f"recipient/{SHARE}", "source/lewisham-cases", "source/met-crimint")
    assert state.outstanding == waiting
    verified = entry(
        4,
        "erasure.verified",
        {"executed_event": id_of(3), "checked": ["key-absent"], "horizon_days": 10},
        source="hub-ledger",
        actor=None,
        submitted_by=None,
    )
    confirmed = {"executed_event": id_of(3), "copies_found_band": "1"}
    found += [
        verified,
        entry(5, *CONFIRMED, source="school", actor=None, submitted_by=None),
        entry(6, "source_erasure.confirmed", confirmed),
        entry(7, "source_erasure.confirmed", confirmed, source="nobodys-system"),
    ]
    state = folded(*found)
    assert (state.outstanding, state.status) == (("source/met-crimint",), "erasing")
    found.append(entry(8, "source_erasure.confirmed", confirmed, source="met-crimint"))
    assert folded(*found).status == "erased"
    early = entry(9, "backup.horizon_passed", {"executed_event": id_of(3)})
    early["occurred_at"] = "2026-01-13"
    state = folded(*found, early)
    assert (state.status, "backup-horizon-stated-early" in state.findings) == ("erased", True)
    passed = {**early, "occurred_at": "2026-01-14"}
    state = folded(*found, passed)
    assert (state.status, "backup-horizon-stated-early" in state.findings) == (
        "erasure-complete",
        False,
    )
    # An early one does not stand in the way of a true one, nor another early one after that.
    late = {**passed, "stream": {**passed["stream"], "version": 10}, "id": id_of(10)}
    assert folded(*found, early, late).status == "erasure-complete"
    again = {**early, "stream": {**early["stream"], "version": 10}, "id": id_of(10)}
    assert folded(*found, passed, again).status == "erasure-complete"
    # A system that sends more about the person owes another confirmation.
    more = folded(*found, passed, entry(10, *CLOSED, source="met-crimint"))
    assert (more.outstanding, more.status) == (("source/met-crimint",), "recorded-since-erasure")


@pytest.mark.parametrize(
    ("stated", "backdated"),
    [
        ("2026-01-02T11:55:00.000Z", False),
        ("2026-01-02T11:54:59.999Z", True),
        ("2025-06-01T12:00:00.000Z", True),
        ("2026-01-02T12:05:00.000Z", False),
        ("2026-01-02", False),
        ("2026-01-01", True),
    ],
)
def test_an_erasure_is_of_when_it_was_recorded_whatever_was_stated(
    stated: str, backdated: bool
) -> None:
    state = folded(ORDERED, executed(2, 1, actor=THREE, submitted_by=THREE, occurred_at=stated))
    (erasure,) = state.erasures
    assert (erasure.erased_at, erasure.stated_at) == ("2026-01-02T12:00:00.000Z", stated)
    assert state.erased_at == erasure.erased_at
    assert ("erasure-backdated" in state.findings) is backdated
    # Neither does a correction take it back.
    corrected = folded(
        ORDERED,
        executed(2, 1, actor=THREE, submitted_by=THREE, occurred_at=stated),
        entry(3, *correction_of(2)),
    )
    assert corrected.erasures == state.erasures


def confirming(version: int, erasure: int) -> Any:
    data = {"executed_event": id_of(erasure), "copies_found_band": "1"}
    return entry(version, "source_erasure.confirmed", data)


def test_a_system_has_erased_only_where_it_names_an_erasure_of_all_that_it_sent() -> None:
    some = {"through": 0, "versions": [1], "ordered_event": None}
    partly = entry(2, "erasure.executed", some)
    found = [entry(1, *IDENTIFIED), partly, confirming(3, 2), executed(4, None)]
    assert folded(*found).outstanding == ("source/lewisham-cases",)
    # Nor does one count that names nothing of the stream, or was made before the erasure.
    for named in (9, 6):
        found = [entry(1, *IDENTIFIED), confirming(2, named), executed(6, None)]
        assert folded(*found).outstanding == ("source/lewisham-cases",)
    twice = [entry(1, *IDENTIFIED), executed(2, None), entry(3, *CLOSED), executed(4, None)]
    assert folded(*twice, confirming(5, 2)).outstanding == ("source/lewisham-cases",)
    assert folded(*twice, confirming(5, 4)).outstanding == ()
    # What it says of the first is enough where it sent nothing after it.
    late = [entry(1, *IDENTIFIED), executed(2, None), executed(3, None), confirming(4, 2)]
    assert folded(*late, confirming(5, 2)).sources[0].erasure_confirmed_on == "2026-01-04"


def test_a_systems_confirmation_that_was_a_mistake_is_set_off() -> None:
    found = [entry(1, *IDENTIFIED), executed(2, None), confirming(3, 2)]
    assert folded(*found).outstanding == ()
    corrected = entry(4, *correction_of(3), source="met-crimint")
    state = folded(*found, corrected)
    assert state.outstanding == ("source/lewisham-cases", "source/met-crimint")
    # A correction of something else sets off nothing.
    other = folded(*found, entry(4, *correction_of(1), source="met-crimint"))
    assert other.outstanding == ("source/met-crimint",)


def test_an_erasure_of_some_entries_is_listed_and_changes_nothing_else() -> None:
    some = {"through": 0, "versions": [1], "ordered_event": None}
    state = folded(entry(1, *IDENTIFIED), entry(2, *CLOSED), entry(3, "erasure.executed", some))
    assert (state.status, state.erased_at, state.outstanding) == ("closed", None, ())
    assert [erasure.versions for erasure in state.erasures] == [(1,)]
    assert state.erase_due == "2026-09-01"


def test_what_is_frozen_follows_from_the_open_entries() -> None:
    accepted = ("screening.decided", {"outcome": "accepted"})
    state = state_of(IDENTIFIED, accepted, SHARED, CLOSED)
    assert findings_of(state, "2026-08-31") == [
        "disclosure-unacknowledged",
        "never-informed",
        "support-not-offered",
    ]
    assert "erasure-overdue" in findings_of(state, "2026-09-02")
    assert findings_of(state_of(IDENTIFIED, TOLD_ALL), "2026-01-03") == []


def test_values_of_other_kinds_are_passed_over() -> None:
    odd = {"through": "4", "versions": ["x", 3], "ordered_event": 7}
    state = folded(entry(1, *IDENTIFIED), entry(2, "erasure.executed", odd))
    assert (state.erasures[0].through, state.erasures[0].versions) == (None, (3,))
    days = {"executed_event": id_of(2), "checked": "all", "horizon_days": "ten"}
    state = folded(
        entry(1, *IDENTIFIED), entry(2, "erasure.executed", odd), entry(3, "erasure.verified", days)
    )
    assert (state.erasures[0].checked, state.erasures[0].first_day_without_backups) == ((), None)
    huge = {**days, "horizon_days": 2**53 - 1}
    state = folded(
        entry(1, *IDENTIFIED), entry(2, "erasure.executed", odd), entry(3, "erasure.verified", huge)
    )
    assert state.erasures[0].first_day_without_backups is None
