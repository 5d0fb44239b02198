"""Recording: from submissions to committed entries, once each.

Guarantees: a submission of several events is recorded whole or not at all; an event recorded
before, under the same true source and id, gives its old place if it is the same event and
DuplicateConflict if it is another; a retry after an erasure seals nothing again, and one of what
expired is refused. The writer decides
under the head lock; where it finds something changed in between, the submission is prepared again.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ledger.access import Credential, check_record
from ledger.erasing import Erasing, Plan
from ledger.errors import (
    DuplicateConflict,
    ErasurePending,
    FieldError,
    Invalid,
    KeyNotAtHand,
    NotFound,
    VaultUnavailable,
)
from ledger.expiring import Expirer
from ledger.intake import ERASURE, Draft, draft, event_type_of, needed_keys, prepare
from ledger.joint import MERGED
from ledger.joint import TYPES as JOINING
from ledger.joint import look as look_at_cases
from ledger.log.client import WriterClient
from ledger.log.messages import RECHECK, Committed, PreparedEvent, Refused
from ledger.lookup import Lookup
from ledger.named import NAMED, NAMING, check_names
from ledger.opening import Opener
from ledger.receipts import ReceiptMaker
from ledger.refusal import FINAL, at, foresee, given_up, prefix_of, refusal
from ledger.retention import DECIDING, ORDER
from ledger.retries import Retries, stand_ins
from ledger.scanning import Executed
from ledger.shares import ANSWERS, check_received, check_there
from ledger.shares import look as look_at_shares
from ledger.store.base import Store
from ledger.store.records import ExpiryPlan
from ledger.submission import Recorded, Submission
from ledger.tombstones import Tombstones, expired
from ledger.vault.keyring import KeyRing
from ledger.vault.threads import in_vault_thread
from ledger_verifier.formats.proof import LogProof

#: A submission is prepared again when another writer got in between; each time it lost a race.
MAX_ATTEMPTS: Final = 8

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
        tombstones: Tombstones,
        expirer: Expirer,
    ) -> None:
        self._origin, self._store, self._keys = origin, store, keys
        self._opener, self._writer, self._receipts = opener, writer, receipts
        self._expirer = expirer
        self._tombstones = tombstones
        self._lookup = Lookup(store, tombstones.look, tombstones.have_key)
        self._retries = Retries(store, opener, receipts)
        self._erasing = Erasing(store, opener, keys)
        #: Told of every erasure once it is recorded.
        self.executed: Callable[[Executed], None] = lambda _: None

    async def record(
        self, credential: Credential, submissions: Sequence[Submission]
    ) -> list[Recorded]:
        """Record a client's events; one result for each, in order."""
        first = _first_of_each(submissions)
        _check_erasures_stand_alone(submissions)
        _check_orders_stand_alone(submissions)
        instead = stand_ins(submissions)
        drafts: dict[Key, Draft] = {}
        last = RECHECK
        for _ in range(MAX_ATTEMPTS):
            known, heads, gone = await self._lookup.look(
                [*first, *instead], {s.stream.text for s in submissions}
            )
            if not known.keys().isdisjoint(instead):
                known = await asyncio.to_thread(self._retries.with_lost, known, instead)
            again = {index: known[key] for key, index in first.items() if key in known}
            for key, index in first.items():
                if key not in known and key not in drafts:
                    with at(index, len(submissions)):
                        drafts[key] = draft(credential, submissions[index])
            results: dict[Key, Recorded] = {}
            if again:
                try:
                    found = await self._again(credential, submissions, again)
                except NotFound:
                    # It has expired meanwhile, or is missing: to look again tells.
                    continue
                results = {
                    (submissions[index].source, submissions[index].id): one
                    for index, one in found.items()
                }
            new = [key for key in first if key not in known]
            if new:
                items = [drafts[key] for key in new]
                indexes = [first[key] for key in new]
                # Whose the streams are comes first: what is in them is not for others to learn.
                foresee(credential, items, indexes, len(submissions), heads, gone)
                pins = await self._named(
                    {index: submissions[index] for index in indexes}, len(submissions)
                )
                items = await self._joined(items, indexes, len(submissions), pins)
                plans = await self._plans(items, indexes, len(submissions))
                if any(plan.seen_version != pins[key] for key, plan in plans.items()):
                    # What came between the two looks may have an id that the erasure names.
                    last = RECHECK
                    continue
                outcome = await self._append(items, plans, pins, gone.through)
                if isinstance(outcome, Refused):
                    if outcome.why in FINAL:
                        stream = items[outcome.index].submission.stream
                        prefix = prefix_of(indexes[outcome.index], len(submissions))
                        raise refusal(credential, outcome, prefix, stream)
                    last = outcome.why
                    continue
                results.update(zip(new, outcome, strict=True))
            return [results[(s.source, s.id)] for s in submissions]
        raise given_up(last)

    async def record_for_service(self, event: Draft) -> Recorded:
        """Record what the service itself observed, such as a reading."""
        last = RECHECK
        for _ in range(MAX_ATTEMPTS):
            _, _, gone = await self._lookup.look((), {event.stream})
            if event.stream in gone.streams:
                raise expired()
            outcome = await self._append([event], {}, {}, gone.through)
            if not isinstance(outcome, Refused):
                return outcome[0]
            last = outcome.why
        raise given_up(last)

    async def _named(self, new: Mapping[int, Submission], count: int) -> dict[Key, int]:
        """The versions that streams were at when the names in these were looked up, for each event
        that names others, that others name, or that answers for a share."""
        versions: dict[int, int] = {}
        if any(one.type in NAMING or one.type in NAMED for one in new.values()):
            versions |= await asyncio.to_thread(check_names, self._store, new, count)
        if any(one.type in ANSWERS for one in new.values()):
            answers = await asyncio.to_thread(look_at_shares, self._store, new)
            if any(answer.shares for answer in answers.values()):
                await in_vault_thread(check_received, self._opener, answers, count)
            check_there(answers, count)
            versions |= {index: one.version for index, one in answers.items() if one.is_pinned}
        return {(new[i].source, new[i].id): version for i, version in versions.items()}

    async def _joined(
        self, items: Sequence[Draft], indexes: Sequence[int], count: int, pins: dict[Key, int]
    ) -> list[Draft]:
        """The drafts, with what the service adds to those that name other cases. A merge is pinned
        to the version that its stream was looked at."""
        found = list(items)
        for place, (item, index) in enumerate(zip(items, indexes, strict=True)):
            if item.submission.type not in JOINING:
                continue
            asked = (self._store, self._opener, item.submission)
            with at(index, count):
                joined = await in_vault_thread(look_at_cases, *asked)
                if joined.added:
                    pins[item.key] = joined.version
                    found[place] = item.with_added(joined.added)
        return found

    async def _plans(
        self, items: Sequence[Draft], indexes: Sequence[int], count: int
    ) -> dict[Key, Plan]:
        """What the erasures among these need; raises ErasureBarred and NothingToErase."""
        plans: dict[Key, Plan] = {}
        for item, index in zip(items, indexes, strict=True):
            if item.submission.type == ERASURE:
                with at(index, count):
                    plans[item.key] = await self._erasing.plan(item.submission)
        return plans

    async def _append(
        self,
        drafts: Sequence[Draft],
        plans: Mapping[Key, Plan],
        pins: Mapping[Key, int],
        seen: int,
    ) -> list[Recorded] | Refused:
        """Seal and append what was looked up when the last expiry was at tree size `seen`; those
        with a pin at that version of their stream alone. On a refusal it must be prepared again,
        unless it is FINAL."""
        expiring = await self._expiring(drafts)
        needed = [stream_key for item in drafts for stream_key in needed_keys(item)]
        keys = await self._keys.keys_for(needed)
        events: list[PreparedEvent] = []
        places: list[int] = []
        for item, expires in zip(drafts, expiring, strict=True):
            expected = item.submission.expected_version
            event = prepare(
                self._origin, item, keys, expected, expires=expires, expired_through=seen
            )
            if plan := plans.get(item.key):
                # What it freezes comes right before it, or neither is recorded.
                frozen = prepare(self._origin, plan.frozen, {}, expected)
                events.append(replace(frozen, seen_version=plan.seen_version, expired_through=seen))
                event = await self._erasing.complete(plan, event)
            else:
                event = replace(event, seen_version=pins.get(item.key))
            places.append(len(events))
            events.append(event)
        outcome = await self._writer.submit(events)
        if isinstance(outcome, Refused):
            if outcome.why not in FINAL:
                await asyncio.to_thread(self._opener.apply_erasures)
                self._keys.forget(item.stream for item in drafts)
            return replace(outcome, index=bisect_left(places, outcome.index))
        recorded = replace(outcome, events=tuple(outcome.events[place] for place in places))
        try:
            await self._finish_erasures(events)
        finally:
            for item, done in zip(drafts, recorded.events, strict=True):
                if plan := plans.get(item.key):
                    self.executed(Executed(done.position, plan.noted.secrets))
        return _results(drafts, recorded)

    async def _finish_erasures(self, events: Sequence[PreparedEvent]) -> None:
        """The second step of an erasure or an expiry: destroy the keys that it names."""
        erased = [
            f"{e.entry['stream']['kind']}/{e.entry['stream']['id']}" for e in events if e.erases
        ]
        plans = [event.expires for event in events if event.expires is not None]
        erased += [one.stream for plan in plans for one in plan.doomed]
        if not erased:
            return
        self._keys.forget(erased)
        # After an erasure, whoever looks for what is left does that.
        await self._destroy_keys(vacuum=bool(plans))

    async def _expiring(self, drafts: Sequence[Draft]) -> list[ExpiryPlan | None]:
        """What an order to expire removes, worked out from the log as it is before these."""
        plans: list[ExpiryPlan | None] = [None] * len(drafts)
        orders = [place for place, item in enumerate(drafts) if item.event_type.type == ORDER]
        if orders:
            asked = drafts[orders[0]].submission
            wanted = (asked.hub, asked.organisation, frozenset(item.stream for item in drafts))
            try:
                plans[orders[0]] = await asyncio.to_thread(self._expirer.plan, *wanted)
            except KeyNotAtHand:
                # Something is due, and its tombstones are under a key that the vault has or makes.
                await self._tombstones.have_key()
                plans[orders[0]] = await asyncio.to_thread(self._expirer.plan, *wanted)
        return plans

    async def _destroy_keys(self, *, vacuum: bool = False) -> None:
        try:
            await asyncio.to_thread(self._opener.apply_erasures)
            if vacuum:
                await asyncio.to_thread(self._opener.vacuum_keys)
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
            with at(index, len(submissions)):
                check_record(credential, submissions[index], event_type_of(submissions[index]))
        if any(submissions[index].type in (ERASURE, ORDER) for index in again):
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
            with at(index, len(submissions)):
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


def _check_erasures_stand_alone(submissions: Sequence[Submission]) -> None:
    """An erasure, like a merge, is decided by what its stream holds: a batch adds nothing to it at
    once."""
    streams = [submission.stream for submission in submissions]
    for index, submission in enumerate(submissions):
        if submission.type in (ERASURE, MERGED) and streams.count(submission.stream) > 1:
            what = "An erasure" if submission.type == ERASURE else "A merge"
            raise Invalid(
                f"{what} must be the only event of its stream in a batch.",
                [FieldError(f"/{index}/subject", "is the stream of other events of this batch")],
            )


def _check_orders_stand_alone(submissions: Sequence[Submission]) -> None:
    """An order to expire is worked out from what was recorded before it: a batch holds one, and no
    policy beside it, so that none is recorded and does nothing."""
    deciding = {(s.source, s.id): s.type for s in submissions if s.type in (ORDER, *DECIDING)}
    if ORDER in deciding.values() and len(deciding) > 1:
        indexes = [index for index, s in enumerate(submissions) if s.type == ORDER]
        raise Invalid(
            "An order to expire stands beside no other order and no policy in a batch: send them "
            "one after the other.",
            [FieldError(f"/{indexes[-1]}/type", "is not the only one that decides on expiry")],
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
