"""Which entries of a case are contested, whether that was decided, and what was shared meanwhile.

Guarantees: as the fold of which these are rules (`meaning.case`): pure, total, and of open parts
alone. Entries are disputed from when somebody contests them until a decision of that contest is
recorded, whatever it is: the outcome is sealed. A share made while they are, from the day after
that on which it was contested, is counted where the recipient was not told (DPA 2018 s.38(5)).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from ledger_verifier.meaning.case_state import Act, CaseState, Contest

Changes = dict[str, Any]
Rule = Callable[[CaseState, Act], Changes]

CONTESTED: Final = "accuracy.contested"
DECIDED: Final = "rectification.decided"
#: What a share says of its accuracy where the recipient was told that it is disputed.
DISPUTED: Final = "disputed"


def contested(state: CaseState, act: Act) -> Changes:
    events = dict(act.said).get("contested_events")
    named = tuple(one for one in events if type(one) is str) if type(events) is tuple else ()
    due = act.text("decision_due")
    return {"contests": (*state.contests, Contest(act.id, act.occurred_at, named, due))}


def decided(state: CaseState, act: Act) -> Changes:
    """The newest decision of a contest stands; what it is about stopped being disputed with the
    first."""
    named = act.text("contested_event")
    return {
        "contests": tuple(
            replace(
                contest,
                disputed_until=contest.disputed_until or act.occurred_at,
                decided_event=act.id,
                decided_on=act.occurred_at,
                told=(),
            )
            if contest.id == named
            else contest
            for contest in state.contests
        )
    }


def notified(state: CaseState, act: Act) -> Changes:
    """A recipient is told where a share of that id and category is recorded; what is said of
    another changes nothing, and is counted."""
    share_id = act.text("disclosure_id")
    shares = {(share.id, share.recipient_category) for share in state.disclosures}
    if share_id is None:
        # A system was told, which one being sealed.
        return {}
    if (share_id, act.text("recipient_category")) not in shares:
        return {"notices_of_no_share": state.notices_of_no_share + 1}
    return {
        "contests": tuple(
            replace(contest, told=tuple(sorted({*contest.told, share_id})))
            if contest.decided_event == act.text("decided_event")
            else contest
            for contest in state.contests
        )
    }


def shared_as_undisputed(state: CaseState, act: Act) -> int:
    """How many shares were recorded, with this one, that were made while entries were disputed and
    whose recipient was not told so."""
    day = act.occurred_at[:10]
    untold = act.text("quality_statement") not in (None, DISPUTED)
    while_disputed = any(
        contest.contested_on[:10] < day
        and (contest.disputed_until is None or day < contest.disputed_until[:10])
        for contest in state.contests
    )
    return state.shared_as_undisputed + (untold and while_disputed)


#: Rules of the fold, and the open fields that each is heard for.
RULES: Final[Mapping[str, tuple[Rule, tuple[str, ...]]]] = {
    CONTESTED: (contested, ("contested_events", "decision_due")),
    DECIDED: (decided, ("contested_event",)),
    "rectification.notified": (
        notified,
        ("decided_event", "disclosure_id", "recipient_category"),
    ),
}
