"""Events that name others: each names events of its own stream, of the type that it must be.

Guarantees: no open field links two streams, since the id of another stream's event is refused; what
is released, answered, waived, ordered or erased is there, and is one event: ids are unique for each
source alone, and a name that may mean two events is refused, at the version of the stream that the
event is recorded at. Errors name the field, never the id.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.errors import DuplicateConflict, FieldError, Invalid
from ledger.store.base import Store
from ledger.submission import Submission
from ledger_verifier.formats import entry as entries

#: For each type that names events: the field, and the type that it must name (None: any).
NAMING: Final[Mapping[str, tuple[tuple[str, str | None], ...]]] = {
    "event.corrected": (("corrected_event", None),),
    "legal_hold.released": (("placed_event", "legal_hold.placed"),),
    "access_request.answered": (("request_event", "access_request.received"),),
    "access_request.waived": (("request_event", "access_request.received"),),
    "representative.revoked": (("authorised_event", "representative.authorised"),),
    "accuracy.contested": (("contested_events", None),),
    "rectification.decided": (("contested_event", "accuracy.contested"),),
    "rectification.notified": (("decided_event", "rectification.decided"),),
    "entry.misattributed": (("misattributed_event", None),),
    "case.split": (("moved_events", None),),
    "erasure.executed": (("ordered_event", "erasure.ordered"), ("erased_events", None)),
    "source_erasure.requested": (("executed_event", "erasure.executed"),),
    "source_erasure.confirmed": (("executed_event", "erasure.executed"),),
    "backup.horizon_passed": (("executed_event", "erasure.executed"),),
    "destruction.confirmed": (("export_event", None),),
}


#: Types that others name: such an event has an id that nothing else in its stream had before it.
NAMED: Final = frozenset(wanted for fields in NAMING.values() for _, wanted in fields if wanted)


@dataclass(slots=True)
class _Stream:
    """A stream as it is looked at: its version, and the types of its events by their ids. An id is
    unique for its source alone, so that several events may have it."""

    version: int = 0
    types: dict[str, list[str]] = field(default_factory=dict)

    def learn(self, event_id: str, type_name: str) -> None:
        self.types.setdefault(event_id, []).append(type_name)
        self.version += 1


def check_names(store: Store, new: Mapping[int, Submission], count: int) -> dict[int, int]:
    """Check the new events of a submission of `count`, by index: raises Invalid for the first that
    names an event which is not in its stream, or an id that several there have, and
    DuplicateConflict for one that others name, under an id which its stream has already.

    Returns, by index, the version that the stream of each was looked at: it may be recorded at no
    other.
    """
    looked = [index for index, one in new.items() if one.type in NAMED or one.type in NAMING]
    streams = {new[index].stream: _Stream() for index in looked}
    for ref, stream in streams.items():
        for one in store.stream(ref.text):
            stream.learn(entries.decode(one.raw)["id"], one.type)
    versions = {}
    for index, submission in new.items():
        known = streams.get(submission.stream)
        if known is None:
            continue
        if index in looked:
            _check(submission, known, f"/{index}" if count > 1 else "")
            versions[index] = known.version
        known.learn(submission.id, submission.type)
    return versions


def _check(submission: Submission, known: _Stream, prefix: str) -> None:
    if submission.type in NAMED and submission.id in known.types:
        raise DuplicateConflict(
            "Another source has recorded an event of this stream under this id, and others are to "
            "name this one by it. Nothing was recorded; give it a new id.",
            [FieldError(f"{prefix}/id", "is the id of another event of this stream")],
        )
    for name, place, wanted, event_id in _named(submission):
        found = [one for one in known.types.get(event_id, ()) if wanted in (None, one)]
        pointer, what = f"{prefix}/data/{name}{place}", "event" if wanted is None else wanted
        if not found:
            raise Invalid(
                "An event names others of its own stream, which are recorded, and of the type that "
                "is meant. Nothing was recorded; check the id that is named.",
                [FieldError(pointer, f"is no {what} of this stream")],
            )
        if len(found) > 1:
            raise Invalid(
                "Several sources have recorded events of this stream under the id that is named, "
                "and which of them is meant cannot be told. Nothing was recorded. Where something "
                "is to be erased, erase the whole stream.",
                [FieldError(pointer, f"is the id of more than one {what} of this stream")],
            )


def _named(submission: Submission) -> Iterator[tuple[str, str, str | None, str]]:
    """The field, the place in it where it is a list, the type that it must name, and the id that it
    names, for each name."""
    for name, wanted in NAMING.get(submission.type, ()):
        value: Any = submission.data.get(name)
        if isinstance(value, list):
            yield from ((name, f"/{place}", wanted, one) for place, one in enumerate(value))
        elif value is not None:
            yield name, "", wanted, value
