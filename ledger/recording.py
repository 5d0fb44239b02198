"""Recording: from submissions to committed entries, once each.

Guarantees: a submission of several events is recorded whole or not at all; an event recorded
before, under the same true source and id, gives its old place if it is the same event and
DuplicateConflict if it is another; a retry after an erasure seals nothing again. The writer decides
under the head lock; where it finds something changed in between, the submission is prepared again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from ledger.access import Credential, Owner, check_erases, check_record, may_read_kind
from ledger.errors import (
    Busy,
    DuplicateConflict,
    ErasurePending,
    FieldError,
    Invalid,
    LedgerError,
    OutOfScope,
    VaultUnavailable,
    VersionConflict,
)
from ledger.intake import ERASURE, Draft, draft, event_type_of, needed_keys, prepare
from ledger.log.client import WriterClient
from ledger.log.messages import AHEAD, HUB, KEY, RECHECK, VERSION, Committed, PreparedEvent, Refused
from ledger.lookup import Lookup
from ledger.opening import Opener
from ledger.receipts import ReceiptMaker
from ledger.retries import Retries, stand_ins
from ledger.store.base import Store
from ledger.store.records import StreamHead
from ledger.submission import Recorded, Submission
from ledger.vault.keyring import KeyRing
from ledger.vault.threads import in_vault_thread
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.proof import LogProof

#: A submission is prepared again when another writer got in between; each time it lost a race.
MAX_ATTEMPTS: Final = 8

#: The type of the event that corrects another.
CORRECTION: Final = "event.corrected"

Key = tuple[str, str]


class Recorder:
    """Records submissions through one writer."""

    def __init__(
        self,
        origin: str,
        store: Store,
        keys: KeyRing,
        opener: Opener,
        writer: WriterClient,
        receipts: ReceiptMaker,
    ) -> None:
        self._origin, self._store, self._keys = origin, store, keys
        self._opener, self._writer, self._receipts = opener, writer, receipts
        self._lookup = Lookup(store)
        self._retries = Retries(store, opener, receipts)

    async def record(
        self, credential: Credential, submissions: Sequence[Submission]
    ) -> list[Recorded]:
        """Record a client's events; one result for each, in order."""
        first = _first_of_each(submissions)
        _check_erasures_come_last(submissions)
        instead = stand_ins(submissions)
        drafts: dict[Key, Draft] = {}
        last = RECHECK
        for _ in range(MAX_ATTEMPTS):
            known, heads = await self._lookup.look(
                [*first, *instead], {s.stream.text for s in submissions}
            )
            if not known.keys().isdisjoint(instead):
                known = await asyncio.to_thread(self._retries.with_lost, known, instead)
            again = {index: known[key] for key, index in first.items() if key in known}
            for key, index in first.items():
                if key not in known and key not in drafts:
                    with _at(index, len(submissions)):
                        drafts[key] = draft(credential, submissions[index])
            results: dict[Key, Recorded] = {}
            if again:
                found = await self._again(credential, submissions, again)
                results = {
                    (submissions[index].source, submissions[index].id): one
                    for index, one in found.items()
                }
            new = [key for key in first if key not in known]
            if new:
                items = [drafts[key] for key in new]
                indexes = [first[key] for key in new]
                # Whose the streams are comes first: what is in them is not for others to learn.
                _foresee(credential, items, indexes, heads)
                if any(submission.type == CORRECTION for submission in submissions):
                    await asyncio.to_thread(self._check_corrections, submissions)
                outcome = await self._append(items)
                if isinstance(outcome, Refused):
                    if outcome.why in (VERSION, HUB, AHEAD):
                        stream = items[outcome.index].submission.stream
                        raise _refusal(credential, outcome, indexes, stream)
                    last = outcome.why
                    continue
                results.update(zip(new, outcome, strict=True))
            return [results[(s.source, s.id)] for s in submissions]
        raise _given_up(last)

    def _check_corrections(self, submissions: Sequence[Submission]) -> None:
        """A correction names an event of its own stream: the id of another stream's event would
        link the two in the open. Raises Invalid."""
        ids: dict[StreamRef, set[str]] = {
            submission.stream: set() for submission in submissions if submission.type == CORRECTION
        }
        for stream, known in ids.items():
            stored = self._store.stream(stream.text)
            known.update(entries.decode(one.raw)["id"] for one in stored)
        for index, submission in enumerate(submissions):
            known = ids.get(submission.stream, set())
            if submission.type == CORRECTION and submission.data["corrected_event"] not in known:
                prefix = f"/{index}" if len(submissions) > 1 else ""
                raise Invalid(
                    "A correction names an event of its own stream.",
                    [FieldError(f"{prefix}/data/corrected_event", "is no event of this stream")],
                )
            known.add(submission.id)

    async def record_for_service(self, event: Draft) -> Recorded:
        """Record what the service itself observed, such as a reading."""
        last = RECHECK
        for _ in range(MAX_ATTEMPTS):
            outcome = await self._append([event])
            if not isinstance(outcome, Refused):
                return outcome[0]
            last = outcome.why
        raise _given_up(last)

    async def _append(self, drafts: Sequence[Draft]) -> list[Recorded] | Refused:
        """Seal and append. On a refusal it must be prepared again, unless it was for VERSION, HUB
        or AHEAD."""
        needed = [stream_key for item in drafts for stream_key in needed_keys(item)]
        keys = await self._keys.keys_for(needed)
        events = [
            prepare(self._origin, item, keys, item.submission.expected_version) for item in drafts
        ]
        outcome = await self._writer.submit(events)
        if isinstance(outcome, Refused):
            if outcome.why not in (VERSION, HUB, AHEAD):
                await asyncio.to_thread(self._opener.apply_erasures)
                self._keys.forget(item.stream for item in drafts)
            return outcome
        await self._finish_erasures(events)
        return _results(drafts, outcome)

    async def _finish_erasures(self, events: Sequence[PreparedEvent]) -> None:
        """The second step of an erasure: destroy the keys its entry names."""
        erased = [e.entry["stream"] for e in events if e.erases]
        if not erased:
            return
        self._keys.forget(f"{stream['kind']}/{stream['id']}" for stream in erased)
        await self._destroy_keys()

    async def _destroy_keys(self) -> None:
        try:
            await asyncio.to_thread(self._opener.apply_erasures)
        except VaultUnavailable as error:
            raise ErasurePending(
                "The erasure is recorded and cannot be undone, but its keys are not destroyed "
                "yet. Send the same event again."
            ) from error

    async def _again(
        self, credential: Credential, submissions: Sequence[Submission], again: Mapping[int, int]
    ) -> dict[int, Recorded]:
        """The old results of the submissions at these indexes, which were recorded before at these
        positions, if they are those events."""
        for index in again:
            with _at(index, len(submissions)):
                check_record(credential, submissions[index], event_type_of(submissions[index]))
        if any(submissions[index].type == ERASURE for index in again):
            await self._destroy_keys()
        results, size = await in_vault_thread(self._judge, submissions, again)
        await self.cover(size)
        return results

    def _judge(
        self, submissions: Sequence[Submission], again: Mapping[int, int]
    ) -> tuple[dict[int, Recorded], int]:
        """Old results, and the size of the largest tree that one of their receipts is against."""
        known = self._retries.look(list(again.values()))
        results: dict[int, Recorded] = {}
        for index, position in again.items():
            with _at(index, len(submissions)):
                results[index] = self._retries.judge(submissions[index], known[position])
        return results, max(one.receipt.size for one in known.values())

    async def cover(self, size: int) -> None:
        """Return once this machine's guard remembers a tree of that committed size: what is shown
        of it must not be forgotten. Raises WriterLost."""
        await self._writer.cover(size)


def _first_of_each(submissions: Sequence[Submission]) -> dict[Key, int]:
    """Index of the first event of each (source, id); raises DuplicateConflict when a batch holds
    two different events under one."""
    first: dict[Key, int] = {}
    for index, submission in enumerate(submissions):
        earlier = first.setdefault((submission.source, submission.id), index)
        if submissions[earlier] != submission:
            raise DuplicateConflict(
                "The batch holds two different events with one source and id.",
                [FieldError(f"/{index}/id", "is used twice in this batch")],
            )
    return first


def _check_erasures_come_last(submissions: Sequence[Submission]) -> None:
    """What follows an erasure in its stream needs new keys, which exist only once it is done."""
    erased: set[str] = set()
    for index, submission in enumerate(submissions):
        if submission.stream.text in erased:
            raise Invalid(
                "An erasure must be the last event of its stream in a batch.",
                [FieldError(f"/{index}/subject", "follows an erasure of the same stream")],
            )
        if submission.type == ERASURE:
            erased.add(submission.stream.text)


class _at:  # noqa: N801 - reads as a preposition at its one use
    """Names the event of a batch in the errors raised about it."""

    def __init__(self, index: int, count: int) -> None:
        self._prefix = f"/{index}" if count > 1 else ""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, LedgerError) and self._prefix:
            error.fields = tuple(
                FieldError(self._prefix + f.pointer, f.reason) for f in error.fields
            )


def _foresee(
    credential: Credential,
    items: Sequence[Draft],
    indexes: Sequence[int],
    heads: Mapping[str, StreamHead],
) -> None:
    """Refuse what the writer would refuse by the heads of the streams as they are, before keys are
    made for it. The writer looks again, under the lock."""
    seen: dict[str, int] = {}
    for place, item in enumerate(items):
        submission, head = item.submission, heads.get(item.stream)
        if submission.type == ERASURE and head is not None:
            with _at(indexes[place], len(indexes)):
                check_erases(credential, Owner(head.hub, head.organisation))
        version = seen.get(item.stream, 0 if head is None else head.version)
        if item.event_type.recipient and not credential.all:
            with _at(indexes[place], len(indexes)):
                _check_expects_nothing(submission)
        refused: Refused | None = None
        if head is not None and head.hub != submission.hub and not item.event_type.recipient:
            refused = Refused(HUB, place)
        elif submission.expected_version not in (None, version):
            refused = Refused(VERSION, place, version)
        if refused is not None:
            raise _refusal(credential, refused, indexes, submission.stream)
        seen[item.stream] = version + 1


def _check_expects_nothing(submission: Submission) -> None:
    """Recipients write to streams of other hubs, whose length they would learn by guessing it.
    Raises Invalid, whatever the stream."""
    if submission.expected_version is not None:
        raise Invalid(
            "A recipient's event goes to a stream whose version is not the recipient's to know.",
            [FieldError("/expectedversion", "is not taken for this type: leave it out")],
        )


def _given_up(why: str) -> LedgerError:
    if why == KEY:
        return VaultUnavailable(
            "The key store does not hold the key that this stream's sealed fields are under: it "
            "may be an older copy. Nothing was recorded; bring back the newer key store."
        )
    return Busy("Other writers to the same streams kept getting in first. Try again.")


def _refusal(
    credential: Credential, refused: Refused, indexes: Sequence[int], stream: StreamRef
) -> LedgerError:
    prefix = f"/{indexes[refused.index]}" if len(indexes) > 1 else ""
    if refused.why == VERSION:
        # How long a stream is, is for those who may read it.
        shown = may_read_kind(credential, stream.kind)
        return VersionConflict(
            "The stream is not at the version you expect. Read it again before you go on.",
            [FieldError(f"{prefix}/expectedversion", "is not the stream's version")],
            {"current_version": refused.version} if shown else {},
        )
    if refused.why == AHEAD:
        return Invalid(
            "The event is dated later than the ledger's own clock allows.",
            [FieldError(f"{prefix}/time", "is more than 5 minutes ahead of this service's clock")],
        )
    return OutOfScope(
        "The stream belongs to another hub.",
        [FieldError(f"{prefix}/hub", "is not the hub that the stream belongs to")],
    )


def _results(drafts: Sequence[Draft], committed: Committed) -> list[Recorded]:
    return [
        Recorded(
            done.position,
            done.leaf_hash,
            item.submission.stream,
            done.version,
            done.recorded_at,
            LogProof(done.position, done.proof, committed.checkpoint).encode(),
            created=True,
        )
        for item, done in zip(drafts, committed.events, strict=True)
    ]
