"""Marks: what the stream of an entry says of whether that entry is right, or about this person.

Guarantees: an entry that is contested, was decided about, or is named a mistake is never opened
without that: the open part of each such mark goes with it, and of what is sealed in it (what the
person says, what was decided, what is right) as much as the reader may open of any entry. What is
marked follows from the state of the stream (`ledger_verifier.meaning.case`): a mark that was itself
corrected is none. (DPA 2018 ss.38(5) and 46; UK GDPR Arts 16 and 18.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.access import Credential, Owner
from ledger.opening import Opened
from ledger.projections.cases import replay
from ledger.store.base import Store
from ledger.store.records import StoredEntry
from ledger.streams import openable
from ledger_verifier.formats import entry as entries
from ledger_verifier.meaning.accuracy import CONTESTED, DECIDED
from ledger_verifier.meaning.case import (
    OF_ANOTHER,
    CaseState,
    Contest,
    Disclosed,
    corrected_by,
)

Entry = Mapping[str, Any]

#: What is shown of the sealed fields of a mark, beside the entry that it is about.
_SHOWN: Final[Mapping[str, tuple[str, ...]]] = {
    CONTESTED: ("statement",),
    DECIDED: ("outcome", "right_value"),
}


#: The outcome of which nobody is owed word.
REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one entry: the contests that it is named in, the shares of its stream, what
    corrects it, and the entries of the contests and their decisions, by position."""

    contests: tuple[Contest, ...]
    shares: tuple[Disclosed, ...]
    corrections: tuple[tuple[str, str, str], ...]
    decoded: Mapping[int, Entry]

    def names(self, credential: Credential, owner: Owner) -> dict[int, list[str]]:
        """What of the sealed fields of these entries the reader is shown."""
        return {
            position: [
                name for name in openable(credential, entry, owner) if name in _SHOWN[entry["type"]]
            ]
            for position, entry in self.decoded.items()
        }

    def to_json(self, opened: Mapping[int, "Shown"]) -> dict[str, Any]:
        """The marks as JSON values, with what was opened of their entries."""
        found = {
            (entry["type"], entry["id"]): opened.get(position, NOTHING)
            for position, entry in self.decoded.items()
        }
        return {
            "disputed": any(contest.decided_event is None for contest in self.contests),
            "contests": [
                self._contest(
                    contest,
                    found.get((CONTESTED, contest.id), NOTHING),
                    found.get((DECIDED, contest.decided_event), NOTHING),
                )
                for contest in self.contests
            ],
            "corrections": [
                {"event": event, "type": name, "corrected_on": on}
                for event, name, on in self.corrections
            ],
        }

    def _contest(self, contest: Contest, stated: "Shown", decision: "Shown") -> dict[str, Any]:
        return {
            "event": contest.id,
            "contested_on": contest.contested_on,
            "decision_due": contest.decision_due,
            "disputed_until": contest.disputed_until,
            "decided_event": contest.decided_event,
            "decided_on": contest.decided_on,
            "gone": [*stated.gone, *decision.gone],
            **stated.fields,
            **self._decision(contest, decision.fields),
        }

    def _decision(self, contest: Contest, opened: Mapping[str, Any]) -> dict[str, Any]:
        """What was opened of a decision, and, for whoever may know that something changed, whose
        recipients have not been told (s.48(9)): of every share made by then, since what was in one
        is nobody's to guess."""
        if opened.get("outcome", REFUSED) == REFUSED:
            return dict(opened)
        untold = {
            share.id
            for share in self.shares
            if share.id not in contest.told
            and (share.disclosed_at or "")[:10] <= (contest.decided_on or "")[:10]
        }
        return {**opened, "untold": sorted(untold)}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a reader is shown of the sealed fields of an entry: values by name, and the names of
    those that would be there, had they not been erased or lost."""

    fields: Mapping[str, Any]
    gone: Sequence[str] = ()

    @classmethod
    def of(cls, opened: Opened, names: Sequence[str]) -> "Shown":
        """What is shown of what was opened, to a reader who may open these names."""
        values = opened.values
        gone = [name for name in names if name not in values] if opened.erased else []
        return cls({name: value for name, value in values.items() if name in names}, gone)


NOTHING: Final = Shown({})


@dataclass(frozen=True, slots=True)
class OpenedEntry:
    """What a reader opened of an entry, and its marks as JSON."""

    shown: Shown
    marks: Mapping[str, Any]

    @property
    def fields(self) -> Mapping[str, Any]:
        """Values by the names of the fields."""
        return self.shown.fields


def marks_of(store: Store, entry: Entry) -> Marks:
    """The marks of an entry, of the stream as it is now. Blocks."""
    stored = store.stream(f"{entry['stream']['kind']}/{entry['stream']['id']}")
    if not stored:
        return Marks((), (), (), {})
    state = replay(stored)
    if _first_of(stored).get(entry["id"]) != entry["stream"]["version"]:
        # Another source used an id that was named before: what is named is the first.
        return Marks((), state.disclosures, (), {})
    contests = tuple(one for one in state.contests if entry["id"] in one.events)
    wanted = {(CONTESTED, one.id) for one in contests}
    wanted |= {(DECIDED, one.decided_event) for one in contests if one.decided_event is not None}
    decoded = {}
    for one in stored:
        if one.type in _SHOWN:
            mark = entries.decode(one.raw)
            if (mark["type"], mark["id"]) in wanted:
                decoded[one.position] = mark
    return Marks(contests, state.disclosures, tuple(_corrections(state, entry["id"])), decoded)


def _corrections(state: CaseState, event: str) -> list[tuple[str, str, str]]:
    return [
        (act.id, act.type, act.occurred_at)
        for act in state.acts
        if not act.corrected and event in corrected_by(act)
    ]


def about_others(store: Store, stream: str) -> frozenset[int]:
    """Versions of the entries of a stream that it says, as it is now, are about somebody else.
    Blocks."""
    stored = store.stream(stream)
    first = _first_of(stored)
    return frozenset(
        first[named]
        for act in (replay(stored).acts if stored else ())
        if act.type in OF_ANOTHER and not act.corrected
        for named in corrected_by(act)
        if named in first
    )


def _first_of(stored: Sequence[StoredEntry]) -> dict[str, int]:
    """The version of the first entry of each id. An id is its source's alone, but when an event is
    named, its id is that of one event of the stream."""
    first: dict[str, int] = {}
    for one in stored:
        first.setdefault(entries.decode(one.raw)["id"], one.version)
    return first
