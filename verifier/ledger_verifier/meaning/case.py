"""The state of one case, folded from the open parts of its entries.

Guarantees: `fold` is pure and total. The same entries in the same order give the same state,
wherever the fold was stopped, stored with `to_json` and taken up again. An entry whose type this
module does not know, or whose open fields are not what it expects, advances the version, the times
and the counts, and nothing else: a verifier meets newer logs than itself. So does a log in the
sense of section 62, such as `record.altered`, which never feeds the state of a case. Nothing
sealed is read, so a state holds what any reader of the entries could work out, and says so:
`informed` means that telling the reasons was recorded, not that it was the person who was told.

An entry that `event.corrected`, `entry.misattributed` or `case.split` names stays among `acts`,
marked, and its say in the state is set off, as if it had never been made. What kind of mistake it
was is sealed, and whoever was wrong before may be so again, so the state errs towards what is still
owed: what was collected, shared or destroyed (`LASTING`) is not undone by saying so, but marked. A
correction that is itself corrected has no effect.

The states are those of the life of a case, less what only a `restricted` stream shows: nothing
withheld is ever in a case stream. `erasing` means that destruction of the subject key was recorded,
and that the ledger has not verified it yet, or somebody who had the data has not confirmed;
`erased`, that it was and they have; `erasure-complete`, that backups are gone too. The rules of
that are in `meaning.erasing`, those of who received the data in `meaning.sharing`, and those of
what is disputed in `meaning.accuracy`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, Final

from ledger_verifier.meaning import accuracy, erasing, sharing
from ledger_verifier.meaning.case_state import CHECKLIST, Act, CaseState, Contest, Disclosed
from ledger_verifier.meaning.erasing import ENVELOPE, EXECUTED, recorded_since, sources_after

__all__ = ["CHECKLIST", "LASTING", "Act", "CaseState", "Contest", "Disclosed", "fold", "replay"]

Entry = Mapping[str, Any]
Changes = dict[str, Any]
Rule = Callable[[CaseState, Act], Changes]

#: What says that earlier entries of the stream are about somebody else than the stream is.
OF_ANOTHER: Final = frozenset({"entry.misattributed", "case.split"})
#: What says that an earlier entry of the stream was a mistake, and in which field.
CORRECTING: Final = {
    "event.corrected": "corrected_event",
    "entry.misattributed": "misattributed_event",
    "case.split": "moved_events",
}

#: What stays in force when it is corrected: the data was collected, has left, or is gone.
LASTING: Final = frozenset({"subject.identified", sharing.DISCLOSED, EXECUTED})

#: What an outcome of screening comes to; any other outcome is passed over.
_SCREENED: Final = {
    "accepted": "accepted",
    "rejected": "not-accepted",
    "referred-on": "not-accepted",
}


def fold(state: CaseState | None, entry: Entry) -> CaseState:
    """The state after one more entry of the case's stream; `state` is None before the first.

    `entry` is a decoded entry (`formats.entry.decode`). Raises ValueError when it belongs to
    another stream, which is a fault of the caller and not of the log.
    """
    stream = f"{entry['stream']['kind']}/{entry['stream']['id']}"
    if state is None:
        state = CaseState(
            stream, entry["hub"], entry["organisation"], opened_at=entry["occurred_at"]
        )
    elif state.stream != stream:
        raise ValueError("the entry belongs to another stream")
    state = replace(
        state,
        version=entry["stream"]["version"],
        last_occurred_at=entry["occurred_at"],
        last_recorded_at=entry["recorded_at"],
        counts=_counted(state.counts, entry["type"]),
    )
    act = _act(entry)
    if act is not None:
        state = _after(replace(state, acts=(*state.acts, act)), act)
    return replace(
        state,
        recorded_since_erasure=recorded_since(state, entry),
        sources=sources_after(state, entry),
    )


def replay(entries: Iterable[Entry]) -> CaseState:
    """The state that the entries of a stream, of which there is at least one, leave it in."""
    state: CaseState | None = None
    for entry in entries:
        state = fold(state, entry)
    if state is None:
        raise ValueError("a stream has an entry")
    return state


def _counted(counts: tuple[tuple[str, int], ...], name: str) -> tuple[tuple[str, int], ...]:
    found = dict(counts)
    found[name] = found.get(name, 0) + 1
    return tuple(sorted(found.items()))


def _act(entry: Entry) -> Act | None:
    if entry["type"] not in _RULES:
        return None
    _, heard = _RULES[entry["type"]]
    data = entry["data"]
    said = {name: data[name] for name in heard if isinstance(data.get(name), str | int | list)}
    envelope = {name: entry.get(name) for name in ENVELOPE.get(entry["type"], ())}
    said |= {name: value for name, value in envelope.items() if value is not None}
    return Act.of(entry["id"], entry["type"], entry["occurred_at"], said)


def _after(state: CaseState, act: Act) -> CaseState:
    rule, _ = _RULES[act.type]
    return replace(state, **rule(state, act))


def _event_corrected(state: CaseState, act: Act) -> Changes:
    """Everything is worked out anew, less what is corrected."""
    anew = _again(state)
    return {field.name: getattr(anew, field.name) for field in fields(anew)}


def _again(state: CaseState) -> CaseState:
    acts = _marked(state.acts)
    anew = CaseState(
        state.stream,
        state.hub,
        state.organisation,
        version=state.version,
        opened_at=state.opened_at,
        last_occurred_at=state.last_occurred_at,
        last_recorded_at=state.last_recorded_at,
        acts=acts,
        counts=state.counts,
        recorded_since_erasure=state.recorded_since_erasure,
        sources=tuple(replace(source, erasure_confirmed_on=None) for source in state.sources),
    )
    for act in acts:
        if act.type not in CORRECTING and (not act.corrected or act.type in LASTING):
            anew = _after(anew, act)
    return anew


def corrected_by(act: Act) -> tuple[str, ...]:
    """Ids of the events that an act says were mistakes; none for an act that says no such thing."""
    named = dict(act.said).get(CORRECTING.get(act.type, ""))
    if isinstance(named, tuple):
        return tuple(one for one in named if type(one) is str)
    return (named,) if isinstance(named, str) else ()


def _marked(acts: tuple[Act, ...]) -> tuple[Act, ...]:
    """Backwards, because a correction speaks of earlier entries alone: one that comes later is
    settled before what it is about."""
    mistaken: set[str] = set()
    marked: list[Act] = []
    for act in reversed(acts):
        corrected = act.id in mistaken
        if not corrected:
            mistaken.update(corrected_by(act))
        marked.append(replace(act, corrected=corrected))
    return tuple(reversed(marked))


def _subject_identified(state: CaseState, act: Act) -> Changes:
    changes: Changes = {
        "identified_on": act.occurred_at,
        "purpose": act.text("purpose"),
        "review_due": act.text("review_due"),
    }
    if state.closed_on is None and state.erased_at is None:
        # A correction or a second referral of an open case: the first identification stands.
        changes["identified_on"] = state.identified_on or act.occurred_at
        return changes
    # Identified anew after the case was closed or erased: what was told and offered then does not
    # answer for the new reasons.
    return changes | {
        "screening": None,
        "screened_on": None,
        "notified_on": None,
        "told": (),
        "support": None,
        "support_offered_on": None,
        "support_answered_on": None,
        "reviewed_on": None,
        "closed_on": None,
        "erase_due": None,
        "erasure_ordered_on": None,
        "erased_at": None,
    }


def _screening_decided(state: CaseState, act: Act) -> Changes:
    screening = _SCREENED.get(act.text("outcome") or "")
    return {} if screening is None else {"screening": screening, "screened_on": act.occurred_at}


def _subject_notified(state: CaseState, act: Act) -> Changes:
    said = dict(act.said)
    told = tuple(item for item in CHECKLIST if item in state.told or said.get(item) is True)
    return {"told": told, "notified_on": state.notified_on or act.occurred_at}


def _support_offered(state: CaseState, act: Act) -> Changes:
    return {
        "support": "support-offered",
        "support_offered_on": state.support_offered_on or act.occurred_at,
    }


def _support_accepted(state: CaseState, act: Act) -> Changes:
    return {"support": "in-support", "support_answered_on": act.occurred_at}


def _support_declined(state: CaseState, act: Act) -> Changes:
    return {"support": "support-declined", "support_answered_on": act.occurred_at}


def _case_reviewed(state: CaseState, act: Act) -> Changes:
    # Without a next day, the review that was due stays due: something always is (s.39).
    return {
        "reviewed_on": act.occurred_at,
        "review_due": act.text("review_due") or state.review_due,
    }


def _cases_merged(state: CaseState, act: Act) -> Changes:
    # What was told, offered and shared in the cases that go on here is in those.
    return {
        "merged_on": state.merged_on or act.occurred_at,
        "purpose": act.text("purpose"),
        "review_due": act.text("review_due") or state.review_due,
    }


def _case_closed(state: CaseState, act: Act) -> Changes:
    erase_due = act.text("erase_due")
    # As with a review: without a day to erase by, what was due stays due.
    return {
        "closed_on": act.occurred_at,
        "erase_due": erase_due,
        "review_due": state.review_due if erase_due is None else None,
    }


#: What each type does to the state, and the open fields it is heard for; a type that is not here
#: has no say.
_RULES: Final[Mapping[str, tuple[Rule, tuple[str, ...]]]] = {
    "subject.identified": (_subject_identified, ("purpose", "review_due")),
    "screening.decided": (_screening_decided, ("outcome",)),
    "subject.notified": (_subject_notified, CHECKLIST),
    "support.offered": (_support_offered, ()),
    "support.accepted": (_support_accepted, ()),
    "support.declined": (_support_declined, ()),
    "case.reviewed": (_case_reviewed, ("review_due",)),
    "case.closed": (_case_closed, ("erase_due",)),
    "cases.merged": (_cases_merged, ("purpose", "review_due")),
    **{name: (_event_corrected, (naming,)) for name, naming in CORRECTING.items()},
    **accuracy.RULES,
    **sharing.RULES,
    **erasing.RULES,
}
