"""Events that name others: each names events of its own stream, of the type that it must be.

Guarantees: no open field links two streams, since the id of another stream's event is refused; what
is released, answered, waived, ordered or erased is there. Errors name the field, never the id.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ledger.errors import FieldError, Invalid
from ledger.store.base import Store
from ledger.submission import Submission
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.entry import StreamRef

#: For each type that names events: the field, and the type that it must name (None: any).
NAMING: Final[Mapping[str, tuple[tuple[str, str | None], ...]]] = {
    "event.corrected": (("corrected_event", None),),
    "legal_hold.released": (("placed_event", "legal_hold.placed"),),
    "access_request.answered": (("request_event", "access_request.received"),),
    "access_request.waived": (("request_event", "access_request.received"),),
    "erasure.executed": (("ordered_event", "erasure.ordered"), ("erased_events", None)),
    "source_erasure.requested": (("executed_event", "erasure.executed"),),
    "source_erasure.confirmed": (("executed_event", "erasure.executed"),),
    "backup.horizon_passed": (("executed_event", "erasure.executed"),),
    "destruction.confirmed": (("export_event", None),),
}


def check_names(store: Store, submissions: Sequence[Submission]) -> None:
    """Raise Invalid for the first event that names one which is not in its stream."""
    known: dict[StreamRef, dict[str, str]] = {}
    for submission in submissions:
        if submission.type in NAMING and submission.stream not in known:
            stored = store.stream(submission.stream.text)
            known[submission.stream] = {entries.decode(one.raw)["id"]: one.type for one in stored}
    for index, submission in enumerate(submissions):
        types = known.get(submission.stream, {})
        prefix = f"/{index}" if len(submissions) > 1 else ""
        for field, wanted, name in _named(submission):
            if types.get(name) is None or wanted not in (None, types[name]):
                what = "event" if wanted is None else wanted
                raise Invalid(
                    "An event names others of its own stream alone.",
                    [FieldError(f"{prefix}/data/{field}", f"is no {what} of this stream")],
                )
        types[submission.id] = submission.type


def _named(submission: Submission) -> Iterator[tuple[str, str | None, str]]:
    for field, wanted in NAMING.get(submission.type, ()):
        value: Any = submission.data.get(field)
        for name in value if isinstance(value, list) else [value]:
            if name is not None:
                yield field, wanted, name
