"""Retries: events recorded before, looked up together, and whether what came is the same event.

Guarantees: a retry of the same event has its old place, whatever of it was erased since; one of
another event under the same source and id is DuplicateConflict, and cannot be used to guess sealed
values for ever. However many come together, each table is read a bounded number of times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.catalogue import CATALOGUE
from ledger.errors import DuplicateConflict, FieldError, NotFound
from ledger.intake import event_type_of, occurred_at
from ledger.opening import Opened, Opener
from ledger.receipts import Receipt, ReceiptMaker
from ledger.store.base import Store
from ledger.store.lost import is_lost
from ledger.store.records import ATTRIBUTION, SUBJECT
from ledger.submission import Recorded, Submission
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.merkle import leaf_hash

#: Conflicting retries of one event that are judged by this process; after them every retry of it
#: conflicts. And how many events that is remembered of.
MAX_CONFLICTS: Final = 20
MAX_REMEMBERED: Final = 10_000

Key = tuple[str, str]


def stand_ins(submissions: Sequence[Submission]) -> dict[Key, Key]:
    """What events of recipients are found under when their true source is lost: their category in
    its place, and what they would be found under otherwise."""
    found: dict[Key, Key] = {}
    for submission in submissions:
        event_type = CATALOGUE.get(submission.type, submission.schema)
        category = submission.data.get("recipient_category")
        if event_type is not None and event_type.recipient and entries.is_code(category):
            found[(category, submission.id)] = (submission.source, submission.id)
    return found


@dataclass(frozen=True, slots=True)
class Known:
    """An entry that a retry may be of: its bytes, what it is, what opened of it, its receipt."""

    position: int
    raw: bytes
    entry: Mapping[str, Any]
    opened: Opened
    receipt: Receipt


class Retries:
    """Judges retries against one store. Methods block; `judge` is for one thread at a time."""

    def __init__(self, store: Store, opener: Opener, receipts: ReceiptMaker) -> None:
        self._store, self._opener, self._receipts = store, opener, receipts
        self._conflicts: dict[Key, int] = {}

    def look(self, positions: Sequence[int]) -> dict[int, Known]:
        """The entries at these positions; raises NotFound, and what `Opener.open_all` does."""
        found = self._store.entries_at(positions)
        if len(found) < len(set(positions)):
            raise NotFound
        decoded = {position: entries.decode(raw) for position, raw in found.items()}
        opened = self._opener.open_all(decoded)
        receipts = self._receipts.newest_of(decoded)
        return {
            position: Known(position, found[position], entry, opened[position], receipts[position])
            for position, entry in decoded.items()
        }

    def with_lost(self, known: Mapping[Key, int], instead: Mapping[Key, Key]) -> dict[Key, int]:
        """What is known, with the events of recipients whose true source is declared lost."""
        more: dict[Key, int] = {}
        with self._store.read() as rows:
            for category, key in instead.items():
                if category in known and is_lost(rows, known[category], ATTRIBUTION):
                    more[key] = known[category]
        return {**more, **known}

    def judge(self, submission: Submission, known: Known) -> Recorded:
        """The old result, if the submission is that event; raises DuplicateConflict."""
        key = (submission.source, submission.id)
        # Whether a retry is the same event tells of its sealed fields: not to be asked for ever.
        guesses = self._conflicts.get(key, 0)
        if guesses >= MAX_CONFLICTS or not _is_same(submission, known):
            if len(self._conflicts) > MAX_REMEMBERED:
                self._conflicts.clear()
            self._conflicts[key] = guesses + 1
            raise DuplicateConflict(
                "This source has recorded another event under this id. Give a new event a new id.",
                [FieldError("/id", "was used by this source for another event")],
            )
        return Recorded(
            known.position,
            leaf_hash(known.raw),
            submission.stream,
            known.entry["stream"]["version"],
            known.entry["recorded_at"],
            known.receipt.text,
            created=False,
        )


def _is_same(submission: Submission, known: Known) -> bool:
    """Whether a submission is the event that was recorded: every member that the client gave, and
    every sealed field that is not erased, or lost. What the service added takes no part."""
    entry, values, erased = known.entry, known.opened.values, known.opened.erased
    if submission.type != entry["type"] or submission.schema not in (None, entry["schema"]):
        return False
    event_type = event_type_of(submission)
    organisation, actor = entry["organisation"], entry["actor"]
    if event_type.recipient:
        if ATTRIBUTION in erased:
            organisation, actor = submission.organisation, submission.actor
        else:
            organisation, actor = values["true_organisation"], values["true_actor"]
    envelope = (
        (submission.stream.kind, entry["stream"]["kind"]),
        (submission.stream.id, entry["stream"]["id"]),
        (occurred_at(event_type, submission.time), entry["occurred_at"]),
        (submission.organisation, organisation),
        (submission.hub, entry["hub"]),
        (submission.actor, actor),
        (submission.regime, entry["regime"]),
    )
    if any(given != recorded for given, recorded in envelope):
        return False
    open_fields, sealed = event_type.validate(submission.data)
    if any(entry["data"].get(name) != value for name, value in open_fields.items()):
        return False
    for name, value in sealed.items():
        key_class = ATTRIBUTION if event_type.sealed[name] == ATTRIBUTION else SUBJECT
        if key_class not in erased and values.get(name) != value:
            return False
    return True
