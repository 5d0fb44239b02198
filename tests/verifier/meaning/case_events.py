"""Entries of one case, to test its fold: version n is of day n, and has the id `id_of(n)`."""

from collections.abc import Mapping
from typing import Any, Final

from ledger_verifier.meaning.case import CHECKLIST, CaseState, fold

CASE: Final = "eeee7355-6f02-4483-9508-e050abda62a8"
SHARE: Final = "945c907b-c118-4866-929e-6868047e2168"
OTHER: Final = "b948c159-68ce-46fb-bc18-8d190180d5e1"
Event = tuple[str, Mapping[str, Any]]


def id_of(version: int) -> str:
    """The event id of a version."""
    return f"00000000-0000-4000-8000-{version:012d}"


def correction_of(version: int) -> Event:
    """A correction of the entry at that version."""
    return ("event.corrected", {"corrected_event": id_of(version)})


def entry_of(version: int, name: str, data: Mapping[str, Any], day: int | None = None) -> Any:
    number = version if day is None else day
    return {
        "id": id_of(version),
        "type": name,
        "schema": 1,
        "stream": {"kind": "case", "id": CASE, "version": version, "previous": None},
        "occurred_at": f"2026-01-{number:02}",
        "recorded_at": f"2026-01-{number:02}T12:00:00.000Z",
        "hub": "E09000023",
        "organisation": "lewisham-council",
        "data": {**data, "_sd": []},
    }


def state_of(*events: Event) -> CaseState:
    state = None
    for version, (name, data) in enumerate(events, 1):
        state = fold(state, entry_of(version, name, data))
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
#: Of the erasure at version 2.
VERIFIED: Final[Event] = (
    "erasure.verified",
    {"executed_event": id_of(2), "checked": ["key-absent"], "horizon_days": 35},
)
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
ASKED: Final[Event] = (
    "recipient_erasure.requested",
    {"disclosure_id": SHARE, "recipient_category": "school"},
)
CONFIRMED: Final[Event] = (
    "recipient_erasure.confirmed",
    {"disclosure_id": SHARE, "recipient_category": "school", "copies_found_band": "2-19"},
)
