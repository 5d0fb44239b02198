"""Which streams are due to expire: the policy in force, and what stands in the way.

Guarantees: pure functions over open entries. A stream is due only if its kind has a period in the
policy in force of its own hub and organisation, nothing was recorded in it for that long, it has
ended, and nothing keeps it (`kept_by`). Registers, `oversight`, `hub` and `ledger` streams have no
period: they explain what stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from ledger_verifier.meaning.case import CaseState, replay

POLICY: Final = "policy.adopted"
ORDER: Final = "expiry.ordered"
#: Kinds of stream that a policy speaks for. Access streams come last: each is kept for as long as
#: what it tells of.
KINDS: Final = ("case", "party", "restricted", "content", "access")
#: Entries that change what is due, in whichever stream they are recorded.
DECIDING: Final = (POLICY,)
#: Stages of a case after which nothing more is expected of it.
ENDED: Final = frozenset({"closed", "erased", "erasure-complete", "not-accepted"})


class Waits(StrEnum):
    """Why a stream does not expire now."""

    NO_PERIOD = "no-period"
    TOO_YOUNG = "too-young"
    OPEN = "open"
    HELD = "held"
    REQUESTED = "requested"
    ORDERED = "erasure-ordered"
    STILL_TOLD_OF = "still-told-of"


@dataclass(frozen=True, slots=True)
class Periods:
    """Days that the log keeps each kind of stream; a kind that is not there is kept for good."""

    days: Mapping[str, int]

    def cutoff(self, kind: str, now: datetime) -> str | None:
        """The instant before which the last entry of a stream of this kind must have been
        recorded; None for a kind without a period."""
        days = self.days.get(kind)
        if days is None:
            return None
        try:
            moment = now.astimezone(UTC) - timedelta(days=days)
        except OverflowError:
            return None
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def periods_in_force(
    policies: Iterable[Mapping[str, Any]], hub: str, organisation: str, today: str
) -> Periods | None:
    """The periods of the newest policy of a hub and organisation that is in force on a day, from
    decoded `policy.adopted` entries in log order; None when there is none."""
    newest = None
    for entry in policies:
        own = (entry["hub"], entry["organisation"]) == (hub, organisation)
        if own and entry["data"]["effective_from"] <= today:
            newest = entry["data"]
    if newest is None:
        return None
    found = {kind: newest.get(f"{kind}_days") for kind in KINDS}
    return Periods({kind: days for kind, days in found.items() if type(days) is int and days > 0})


def why_not(kind: str, entries: Sequence[Mapping[str, Any]], cutoff: str | None) -> Waits | None:
    """Why a stream of this kind, whose decoded entries these are, does not expire; None when it
    is due. That an access stream is kept with what it tells of is for the caller."""
    if cutoff is None:
        return Waits.NO_PERIOD
    if not entries or entries[-1]["recorded_at"] >= cutoff:
        return Waits.TOO_YOUNG
    state = replay(entries)
    if kind == "case" and state.status not in ENDED:
        return Waits.OPEN
    return kept_by(state)


def kept_by(state: CaseState) -> Waits | None:
    """What keeps a stream in this state whatever its age; None when nothing does."""
    if state.holds:
        return Waits.HELD
    if state.open_requests:
        return Waits.REQUESTED
    ordered = state.erasure_ordered_on is not None and state.erased_at is None
    return Waits.ORDERED if ordered else None
