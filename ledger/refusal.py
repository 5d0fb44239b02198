"""Refusals: what is refused by the heads of streams, before anything is sealed, and the errors that
a caller is shown for what the writer refused.

Guarantees: whose a stream is comes before what is in it; an error names the event of a batch by its
index in the batch as it was sent, whatever of it was recorded before, and repeats no value.
"""

from collections.abc import Mapping, Sequence

from ledger.access import Credential, Owner, check_erases, may_read_kind
from ledger.errors import (
    Busy,
    Expired,
    FieldError,
    Invalid,
    LedgerError,
    NothingToErase,
    OutOfScope,
    VaultUnavailable,
    VersionConflict,
)
from ledger.intake import ERASURE, RECEIVED_BY, Draft
from ledger.log.messages import AHEAD, HUB, KEY, NOTHING, TAKEN, VERSION, Refused
from ledger.store.records import Gone, StreamHead
from ledger.submission import Submission
from ledger.tombstones import EXPIRED
from ledger_verifier.formats.entry import StreamRef

#: Refusals that are the caller's to deal with; after any other the submission is prepared again.
FINAL = frozenset({VERSION, HUB, AHEAD, NOTHING, TAKEN})


def prefix_of(index: int, count: int) -> str:
    """What the pointers to an event of a submission of `count` begin with."""
    return f"/{index}" if count > 1 else ""


class at:  # noqa: N801 - reads as a preposition at its one use
    """Names the event of a batch in the errors raised about it."""

    def __init__(self, index: int, count: int) -> None:
        self._prefix = prefix_of(index, count)

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, LedgerError) and self._prefix:
            error.fields = tuple(
                FieldError(self._prefix + f.pointer, f.reason) for f in error.fields
            )


def foresee(
    credential: Credential,
    items: Sequence[Draft],
    indexes: Sequence[int],
    count: int,
    heads: Mapping[str, StreamHead],
    gone: Gone,
) -> None:
    """Refuse what the writer would refuse by the heads of the streams as they are, before keys are
    made for it, and what has expired. The writer looks again, under the lock. The items are at
    these indexes of a submission of `count`."""
    seen: dict[str, int] = {}
    for place, (item, index) in enumerate(zip(items, indexes, strict=True)):
        submission, head = item.submission, heads.get(item.stream)
        if item.event_type.recipient and not credential.all:
            with at(index, count):
                _check_speaks_for_itself(credential, submission)
                _check_expects_nothing(submission)
        if item.stream in gone.streams or item.key in gone.ids:
            with at(index, count):
                _refuse_expired(item, gone)
        if submission.type == ERASURE:
            with at(index, count):
                _check_erasure(credential, head, item.stream in seen)
        version = seen.get(item.stream, 0 if head is None else head.version)
        refused: Refused | None = None
        if head is not None and head.hub != submission.hub and not item.event_type.recipient:
            refused = Refused(HUB, place)
        elif submission.expected_version not in (None, version):
            refused = Refused(VERSION, place, version)
        if refused is not None:
            raise refusal(credential, refused, prefix_of(index, count), submission.stream)
        seen[item.stream] = version + 1


def _refuse_expired(item: Draft, gone: Gone) -> None:
    """Whose the stream was comes first, as for one that is there."""
    hub, _ = gone.streams.get(item.stream, (item.submission.hub, ""))
    if hub != item.submission.hub and not item.event_type.recipient:
        raise _of_another_hub("")
    raise Expired(EXPIRED)


def _of_another_hub(prefix: str) -> OutOfScope:
    return OutOfScope(
        "The stream belongs to another hub.",
        [FieldError(f"{prefix}/hub", "is not the hub that the stream belongs to")],
    )


def _check_erasure(credential: Credential, head: StreamHead | None, added_to: bool) -> None:
    """Raise Forbidden for a stream of another controller, and NothingToErase for one that does not
    exist: before keys are made for it. Whether there is anything in it the writer finds out."""
    if head is not None:
        check_erases(credential, Owner(head.hub, head.organisation))
    elif not added_to:
        raise _nothing_to_erase("")


def _nothing_to_erase(prefix: str) -> NothingToErase:
    return NothingToErase(
        "Nothing in this stream is sealed under a subject key: there is no such stream, or it was "
        "erased before and nothing about the person has been recorded since. Nothing was recorded; "
        "check the stream's id and its state.",
        [FieldError(f"{prefix}/subject", "names a stream with nothing to erase")],
    )


def _check_speaks_for_itself(credential: Credential, submission: Submission) -> None:
    """Raise OutOfScope when a recipient's event is about what another organisation received,
    whatever the stream. A hub that was told by another road records it with `all`."""
    if submission.data.get(RECEIVED_BY) != credential.organisation:
        raise OutOfScope(
            "A recipient speaks for itself: the token is bound to another organisation than the "
            "one that the event is about. What a recipient said by another road is recorded with a "
            "token made with --all.",
            [FieldError(f"/data/{RECEIVED_BY}", "the token is not bound to this organisation")],
        )


def _check_expects_nothing(submission: Submission) -> None:
    """Recipients write to streams of other hubs, whose length they would learn by guessing it.
    Raises Invalid, whatever the stream."""
    if submission.expected_version is not None:
        raise Invalid(
            "A recipient's event goes to a stream whose version is not the recipient's to know.",
            [FieldError("/expectedversion", "is not taken for this type: leave it out")],
        )


def given_up(why: str) -> LedgerError:
    if why == KEY:
        return VaultUnavailable(
            "The key store does not hold the key that this stream's sealed fields are under: it "
            "may be an older copy. Nothing was recorded; bring back the newer key store."
        )
    return Busy("Other writers to the same streams kept getting in first. Try again.")


def refusal(
    credential: Credential, refused: Refused, prefix: str, stream: StreamRef
) -> LedgerError:
    """What the caller is shown for an event that was refused, whose pointers begin so."""
    if refused.why == VERSION:
        # How long a stream is, is for those who may read it.
        shown = may_read_kind(credential, stream.kind)
        return VersionConflict(
            "The stream is not at the version you expect. Read it again before you go on.",
            [FieldError(f"{prefix}/expectedversion", "is not the stream's version")],
            {"current_version": refused.version} if shown else {},
        )
    if refused.why == NOTHING:
        return _nothing_to_erase(prefix)
    if refused.why == AHEAD:
        return Invalid(
            "The event is dated later than the ledger's own clock allows.",
            [FieldError(f"{prefix}/time", "is more than 5 minutes ahead of this service's clock")],
        )
    if refused.why == TAKEN:
        return Invalid(
            "A stream cannot begin under an id that is in use. Nothing was recorded. Take a new "
            "random UUID for it.",
            [FieldError(f"{prefix}/subject", "has the id of another stream")],
        )
    return _of_another_hub(prefix)
