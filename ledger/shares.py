"""Recipients who answer for shares: each for those that it received, and for no other's.

Guarantees: that a recipient erased is recorded for a share which its stream holds before it, under
the same id, of the same category and sealed as received by the organisation that answers; so is an
acknowledgement where a share of that id is there, and as it comes where none is. A share of which
the recipient is declared lost goes by its category. Where shares of several organisations have one
id, none of them can answer: the entries could not show which was meant. A share that is another's
and one that is not there are refused in the same words; that somebody erased is recorded at no
other version of the stream than was looked at. Errors hold no value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.errors import FieldError, NoSuchShare
from ledger.intake import RECEIVED_BY
from ledger.opening import Opened, Opener
from ledger.store.base import Store
from ledger.store.records import ATTRIBUTION
from ledger.submission import Submission
from ledger_verifier.formats import entry as entries
from ledger_verifier.meaning.sharing import CONFIRMED, DISCLOSED

#: Types by which recipients answer for a share; whether the share must be there.
ANSWERS: Final[Mapping[str, bool]] = {"disclosure.acknowledged": False, CONFIRMED: True}


@dataclass(frozen=True, slots=True)
class _Share:
    """A share of a stream: where it is, or, of one in the same submission, who is to receive it."""

    data: Mapping[str, Any]
    position: int | None = None
    entry: Mapping[str, Any] = field(default_factory=dict)

    def is_of(self, submission: Submission, opened: Mapping[int, Opened]) -> bool:
        """Whether the organisation that answers received it."""
        if self.position is None:
            received_by = self.data[RECEIVED_BY]
        elif ATTRIBUTION in opened[self.position].erased:
            return True
        else:
            received_by = opened[self.position].values[RECEIVED_BY]
        return bool(received_by == submission.data[RECEIVED_BY])


@dataclass(slots=True)
class _Stream:
    """A stream as it is looked at: its version, and its shares by their ids."""

    version: int = 0
    shares: dict[str, list[_Share]] = field(default_factory=dict)

    def learn(self, share: _Share | None) -> None:
        self.version += 1
        if share is not None:
            self.shares.setdefault(share.data["disclosure_id"], []).append(share)


@dataclass(frozen=True, slots=True)
class Answer:
    """A recipient's event, the version that its stream was looked at, and the shares that it may be
    for; whether it can be recorded if there is none."""

    submission: Submission
    version: int
    shares: Sequence[_Share]
    stands_alone: bool

    @property
    def is_pinned(self) -> bool:
        """Whether it may be recorded at that version alone. What would be recorded without a share
        need not be, and its recipient does not wait while others write to the stream."""
        return ANSWERS[self.submission.type]


def look(store: Store, new: Mapping[int, Submission]) -> dict[int, Answer]:
    """The answers among the new events of a submission, by index, up to the first that is for no
    share: whether a later one is for a share that is there must not show in which is refused."""
    streams = {one.stream: _Stream() for one in new.values() if one.type in ANSWERS}
    for ref, stream in streams.items():
        for one in store.stream(ref.text):
            share = None
            if one.type == DISCLOSED:
                entry = entries.decode(one.raw)
                share = _Share(entry["data"], one.position, entry)
            stream.learn(share)
    answers = {}
    for index, submission in new.items():
        known = streams.get(submission.stream)
        if known is None:
            continue
        if submission.type in ANSWERS:
            answers[index] = answer = _answer(submission, known)
            if not answer.shares and not answer.stands_alone:
                break
        known.learn(_Share(submission.data) if submission.type == DISCLOSED else None)
    return answers


def _answer(submission: Submission, known: _Stream) -> Answer:
    under_id = known.shares.get(submission.data["disclosure_id"], [])
    category = submission.data["recipient_category"]
    shares = [share for share in under_id if share.data["recipient_category"] == category]
    stands_alone = not under_id and not ANSWERS[submission.type]
    return Answer(submission, known.version, shares, stands_alone)


def check_received(opener: Opener, answers: Mapping[int, Answer], count: int) -> None:
    """Raise NoSuchShare for the first answer that is for a share of another organisation, by what
    is sealed. Raises what `Opener.open_all` does; asks the vault."""
    sealed = {
        share.position: share.entry
        for answer in answers.values()
        for share in answer.shares
        if share.position is not None
    }
    opened = opener.open_all(sealed)
    for index, answer in answers.items():
        if not all(share.is_of(answer.submission, opened) for share in answer.shares):
            raise _no_such_share(index, count)


def check_there(answers: Mapping[int, Answer], count: int) -> None:
    """Raise NoSuchShare for the answer that is for no share of its stream; once `check_received`
    found nothing against those before it."""
    for index, answer in answers.items():
        if not answer.shares and not answer.stands_alone:
            raise _no_such_share(index, count)


def _no_such_share(index: int, count: int) -> NoSuchShare:
    prefix = f"/{index}" if count > 1 else ""
    return NoSuchShare(
        "No share with this organisation is recorded under this id, for this category, in this "
        "stream. Nothing was recorded. Check the stream, the id and the category against what came "
        "with the data; if they are right, ask the hub to record the share under an id of its own, "
        "and send this again.",
        [FieldError(f"{prefix}/data/disclosure_id", "is the id of no share with this recipient")],
    )
