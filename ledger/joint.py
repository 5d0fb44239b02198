"""Joint files: events that name other cases, in what they seal.

Guarantees: a case that is named is one of the hub and the organisation that name it, or the event
is refused: an id that is wrong would be found out by nobody, since it is sealed. What is unknown
and what is another's are refused in the same words. Cases are merged once they are closed, into a
stream that a merge opened, as they were at the entries that the merge itself seals. (DPA 2018
ss.38(3) and 62(1)(e).)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.errors import FieldError, Invalid
from ledger.opening import Opener
from ledger.store.base import Store
from ledger.store.records import StoredEntry
from ledger.submission import Submission
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.entry import StreamRef, link_hash
from ledger_verifier.meaning.case import CaseState, replay

MERGED: Final = "cases.merged"
#: For each type that names cases: the field.
_NAMING: Final[Mapping[str, str]] = {
    MERGED: "merged_cases",
    "case.split": "moved_to",
    "party.recorded": "in_case",
}
TYPES: Final = frozenset(_NAMING)
#: Entries that say who the person is, of the categories of section 38(3), and the field.
_SAYS_CATEGORY: Final = frozenset({"subject.identified", "case.reviewed"})
_CATEGORY: Final = "subject_category"
_VICTIM: Final = frozenset({"victim"})
_SUSPECT: Final = frozenset({"suspect", "convicted"})


@dataclass(frozen=True, slots=True)
class Joined:
    """What an event that names cases was looked at with: the version that its own stream was at,
    and of a merge the fields that the service adds."""

    version: int
    added: Mapping[str, Any]


def look(store: Store, opener: Opener, submission: Submission) -> Joined:
    """Check the cases that an event names, whose data is well formed. Raises Invalid for the first
    that cannot be meant, and what `Opener.open_all` does. Blocks; may ask the vault."""
    field = _NAMING[submission.type]
    value = submission.data[field]
    named: list[tuple[str, str]] = (
        [(f"/data/{field}/{place}", one) for place, one in enumerate(value)]
        if isinstance(value, list)
        else [(f"/data/{field}", value)]
    )
    own = store.stream(submission.stream.text)
    merges = submission.type == MERGED
    found = [_case(store, submission, pointer, one, closed=merges) for pointer, one in named]
    if not merges:
        return Joined(len(own), {})
    if own and own[0].type != MERGED:
        raise Invalid(
            "Cases are merged into a stream that a merge opened: take a new random UUID for it, "
            "and close this case too. Nothing was recorded.",
            [FieldError("/subject", "names a case that no merge opened")],
        )
    return Joined(len(own), _merged(store, opener, own, found))


def _case(
    store: Store, submission: Submission, pointer: str, case: str, *, closed: bool
) -> Sequence[StoredEntry]:
    """The entries of a case that is named, which may have to be closed."""
    stored = store.stream(StreamRef("case", case).text)
    first = entries.decode(stored[0].raw) if stored else {"hub": None, "organisation": None}
    if (first["hub"], first["organisation"]) != (submission.hub, submission.organisation):
        raise Invalid(
            "An event names other cases of its own hub and organisation alone. Nothing was "
            "recorded; check the id that is named.",
            [FieldError(pointer, "is no case of this hub and organisation")],
        )
    if closed and _state(stored).closed_on is None:
        raise Invalid(
            "Cases are merged once they are closed, so that nothing more is recorded in them. "
            "Record case.closed in each first, with the reason merged. Nothing was recorded.",
            [FieldError(pointer, "is a case that is not closed")],
        )
    return stored


def _merged(
    store: Store, opener: Opener, own: Sequence[StoredEntry], cases: Sequence[Sequence[StoredEntry]]
) -> dict[str, Any]:
    before = _merged_before(store, opener, own)
    return {
        "merged_heads": [link_hash(stored[-1].raw).hex() for stored in cases],
        "victim_with_suspect": None
        if before is None
        else _is_of_both(opener, [own, *before, *cases]),
    }


def _merged_before(
    store: Store, opener: Opener, own: Sequence[StoredEntry]
) -> list[Sequence[StoredEntry]] | None:
    """The cases that go on in this stream already; None where which they are is erased."""
    merges = {one.position: entries.decode(one.raw) for one in own if one.type == MERGED}
    named: list[str] = []
    for opened in opener.open_all(merges).values():
        if "merged_cases" not in opened.values:
            return None
        named += opened.values["merged_cases"]
    return [store.stream(StreamRef("case", case).text) for case in named]


def _is_of_both(opener: Opener, cases: Sequence[Sequence[StoredEntry]]) -> bool | None:
    """Whether one of these is a victim's case and another a suspect's; None where it is erased what
    one of them is, and the others do not tell."""
    said = [last for stored in cases for last in (_last_said(stored),) if last is not None]
    opened = opener.open_all({one.position: entries.decode(one.raw) for one in said})
    found = [opened[one.position].values.get(_CATEGORY) for one in said]
    victims = {place for place, one in enumerate(found) if one and _VICTIM & {*one}}
    suspects = {place for place, one in enumerate(found) if one and _SUSPECT & {*one}}
    if any(victim != suspect for victim in victims for suspect in suspects):
        return True
    return None if None in found else False


def _state(stored: Sequence[StoredEntry]) -> CaseState:
    return replay(entries.decode(one.raw) for one in stored)


def _last_said(stored: Sequence[StoredEntry]) -> StoredEntry | None:
    """The last entry of a stream that says of which category the person is."""
    mistaken = {act.id for act in _state(stored).acts if act.corrected} if stored else set()
    for one in reversed(stored):
        if one.type in _SAYS_CATEGORY and entries.decode(one.raw)["id"] not in mistaken:
            return one
    return None
