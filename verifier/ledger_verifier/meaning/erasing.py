"""What bears on the erasure of a case: what bars it, how it was decided, and who still owes word.

Guarantees: as the fold of which these are rules (`meaning.case`): pure, total, and of open parts
alone. An erasure is under dual control only if it names an order of its own stream that stands, and
both name an actor and a credential, and both of these differ. The ledger erases when it records the
erasure, and that is when it was; what time was stated is kept beside it. The person was offered
their pack if that was recorded since the last erasure of the whole and was no mistake. That backups
are gone is believed no earlier than the horizon declared when the erasure was verified, and that a
system has erased only where it names an erasure of everything that it had sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import takewhile
from typing import Any, Final, TypeVar

from ledger_verifier.formats.entry import SERVICE_CODE
from ledger_verifier.meaning.case_state import Act, CaseState, Erasure, Said, Source

Changes = dict[str, Any]
Rule = Callable[[CaseState, Act], Changes]

ORDERED: Final = "erasure.ordered"
EXECUTED: Final = "erasure.executed"
PACK_OFFERED: Final = "pack.offered"
SOURCE_CONFIRMED: Final = "source_erasure.confirmed"

#: What comes with or after an erasure, and seals nothing about the person.
SEALS_NOBODY: Final = frozenset(
    {
        EXECUTED,
        "erasure.verified",
        "findings.frozen",
        "backup.horizon_passed",
        "recipient_erasure.requested",
        "recipient_erasure.confirmed",
        "source_erasure.requested",
        SOURCE_CONFIRMED,
        "rectification.notified",
    }
)

#: What the fold hears of these from the envelope: who did it, and with which credential; when the
#: ledger did; which system it is that confirms.
ENVELOPE: Final[Mapping[str, tuple[str, ...]]] = {
    ORDERED: ("actor", "submitted_by"),
    EXECUTED: ("actor", "submitted_by", "recorded_at"),
    SOURCE_CONFIRMED: ("source",),
}


def recorded_since(state: CaseState, entry: Mapping[str, Any]) -> int:
    """How many entries since the last erasure may hold data about the person."""
    if state.erased_through is None or (entry["type"] == EXECUTED and _whole(entry["data"])):
        return 0
    return state.recorded_since_erasure + (entry["type"] not in SEALS_NOBODY)


def _whole(data: Mapping[str, Any]) -> bool:
    return data.get("versions") is None


def sources_after(state: CaseState, entry: Mapping[str, Any]) -> tuple[Source, ...]:
    """The systems that data about the person came from. One that confirmed its erasure and then
    sends more owes another confirmation. Recipients are no sources, nor is who orders erasure."""
    code = entry.get("source")
    if type(code) is not str or code == SERVICE_CODE or entry.get("submitted_by") is None:
        return state.sources
    if entry["type"] in SEALS_NOBODY | {ORDERED}:
        return state.sources
    known = {source.code: source for source in state.sources}
    known[code] = Source(code, entry["stream"]["version"])
    return tuple(known[name] for name in sorted(known))


def source_confirmed(state: CaseState, act: Act) -> Changes:
    """A confirmation of an erasure that was of some entries, or of less than the system has sent,
    leaves the system owing one."""
    code, named = act.text("source"), act.text("executed_event")
    through = max(
        (e.through or 0 for e in state.erasures if e.id == named and e.versions is None), default=0
    )
    return {
        "sources": tuple(
            replace(source, erasure_confirmed_on=source.erasure_confirmed_on or act.occurred_at)
            if source.code == code and source.last <= through
            else source
            for source in state.sources
        )
    }


def hold_placed(state: CaseState, act: Act) -> Changes:
    return {"holds": (*state.holds, act.id)}


def hold_released(state: CaseState, act: Act) -> Changes:
    placed = act.text("placed_event")
    return {"holds": tuple(hold for hold in state.holds if hold != placed)}


def request_received(state: CaseState, act: Act) -> Changes:
    changes: Changes = {"open_requests": (*state.open_requests, act.id)}
    if state.erase_due is None:
        # A day that was fixed before somebody asked may be kept to (s.173).
        changes["barring_requests"] = (*state.barring_requests, act.id)
    return changes


def request_answered(state: CaseState, act: Act) -> Changes:
    return {**request_waived(state, act), "open_requests": _without(state.open_requests, act)}


def request_waived(state: CaseState, act: Act) -> Changes:
    return {"barring_requests": _without(state.barring_requests, act)}


def _without(requests: tuple[str, ...], act: Act) -> tuple[str, ...]:
    answered = act.text("request_event")
    return tuple(request for request in requests if request != answered)


def pack_offered(state: CaseState, act: Act) -> Changes:
    """Nothing by itself: the erasure that follows looks for it among the acts."""
    return {}


def erasure_ordered(state: CaseState, act: Act) -> Changes:
    return {
        "erasure_ordered_on": act.occurred_at,
        "erase_due": act.text("erase_due") or state.erase_due,
    }


def erasure_executed(state: CaseState, act: Act) -> Changes:
    said = dict(act.said)
    through = said.get("through")
    erased_at = str(said["recorded_at"])
    erasure = Erasure(
        act.id,
        erased_at,
        act.occurred_at,
        through=through if type(through) is int else None,
        versions=_of(int, said.get("versions")),
        ordered_event=act.text("ordered_event"),
        dual_control=_is_dual(state, act),
        pack_offered=_is_offered(state, act),
        barred=bool(state.holds or state.barring_requests),
    )
    changes: Changes = {"erasures": (*state.erasures, erasure)}
    if erasure.versions is not None:
        # What was ordered is done, unless something else was ordered too.
        done = {one.ordered_event for one in changes["erasures"]}
        left = [
            order
            for order in takewhile(lambda earlier: earlier.id != act.id, state.acts)
            if order.type == ORDERED and not order.corrected and order.id not in done
        ]
        return changes if left else changes | {"erasure_ordered_on": None}
    return changes | {
        "erased_at": erased_at,
        "erased_through": state.erased_through if erasure.through is None else erasure.through,
        "review_due": None,
        "erase_due": None,
        # What was contested is gone.
        "contests": (),
    }


T = TypeVar("T")


def _of(kind: type[T], value: Said | None) -> tuple[T, ...] | None:
    """The items of this kind, if the value is a list: a log may register others."""
    if type(value) is not tuple:
        return None
    return tuple(item for item in value if isinstance(item, kind))


def _is_dual(state: CaseState, act: Act) -> bool:
    named = act.text("ordered_event")
    orders = [
        order
        for order in takewhile(lambda earlier: earlier.id != act.id, state.acts)
        if order.type == ORDERED and order.id == named and not order.corrected
    ]
    return bool(orders) and all(
        order.text(who) is not None
        and act.text(who) is not None
        and order.text(who) != act.text(who)
        for order in orders
        for who in ("actor", "submitted_by")
    )


def _is_offered(state: CaseState, act: Act) -> bool:
    offered = False
    for earlier in takewhile(lambda earlier: earlier.id != act.id, state.acts):
        if earlier.type == PACK_OFFERED:
            offered = offered or not earlier.corrected
        elif earlier.type == EXECUTED and _whole(dict(earlier.said)):
            offered = False
    return offered


def erasure_verified(state: CaseState, act: Act) -> Changes:
    said = dict(act.said)
    days = said.get("horizon_days")
    return _noted(
        state,
        act,
        lambda e: e.verified_at is None,
        verified_at=act.occurred_at,
        checked=_of(str, said.get("checked")) or (),
        horizon_days=days if type(days) is int else None,
    )


def horizon_passed(state: CaseState, act: Act) -> Changes:
    # One that was stated early is not believed, and must not stand in the way of a true one.
    return _noted(state, act, lambda e: not e.gone_from_backups, horizon_passed_on=act.occurred_at)


def _noted(state: CaseState, act: Act, wanting: Callable[[Erasure], bool], **noted: Any) -> Changes:
    """Note something of the erasure that the act names, where it is wanting."""
    named = act.text("executed_event")
    changed = tuple(
        replace(erasure, **noted) if erasure.id == named and wanting(erasure) else erasure
        for erasure in state.erasures
    )
    return {"erasures": changed}


#: Rules of the fold, and the open fields that each is heard for.
RULES: Final[Mapping[str, tuple[Rule, tuple[str, ...]]]] = {
    "legal_hold.placed": (hold_placed, ()),
    "legal_hold.released": (hold_released, ("placed_event",)),
    "access_request.received": (request_received, ()),
    "access_request.answered": (request_answered, ("request_event",)),
    "access_request.waived": (request_waived, ("request_event",)),
    PACK_OFFERED: (pack_offered, ()),
    ORDERED: (erasure_ordered, ("erase_due",)),
    EXECUTED: (erasure_executed, ("through", "versions", "ordered_event")),
    "erasure.verified": (erasure_verified, ("executed_event", "checked", "horizon_days")),
    "backup.horizon_passed": (horizon_passed, ("executed_event",)),
    SOURCE_CONFIRMED: (source_confirmed, ("executed_event",)),
}
