"""Erasing: what an erasure may go before, and everything it needs, decided before it is recorded.

Guarantees: an erasure is planned for one version of its stream and is recorded at no other, so that
nothing which came meanwhile is overlooked. A court's order stands before a legal hold, a hold
before an open request for access, and that before an erasure; a complaint bars nothing. What an
erasure of some entries keeps is sealed anew under a key that is in the key store before anything is
recorded. What was stored of what is erased is noted in memory alone, to be looked for afterwards.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ledger.errors import ErasureBarred, FieldError, NothingToErase, TooLarge
from ledger.intake import Draft, service_draft
from ledger.log.clock import instant
from ledger.log.messages import PreparedEvent
from ledger.opening import Opener
from ledger.store.base import Store
from ledger.store.records import SUBJECT, SealedRow, StoredEntry
from ledger.submission import Submission
from ledger.vault.keyring import KeyRing
from ledger.vault.threads import in_vault_thread
from ledger_verifier.formats import entry as entries
from ledger_verifier.meaning.case import CaseState, replay
from ledger_verifier.meaning.frozen import findings_of

#: Bytes of sealed fields that an erasure of some entries may keep: they go to the writer in one
#: frame.
MAX_KEPT: Final = 16 * 1024 * 1024
#: Bytes of a ciphertext that it is looked for by: a page boundary may split something long.
PROBE: Final = 32

COURT: Final = "court-order"
HOLD: Final = "legal-hold"
REQUEST: Final = "access-request"

HOLD_PLACED: Final = "legal_hold.placed"
ORDERED: Final = "erasure.ordered"

_BARRED: Final = {
    COURT: (
        "A court's order keeps what this stream holds. Nothing was recorded. Restrict the data "
        "instead; it may be erased once the hold is released."
    ),
    HOLD: (
        "A legal hold stands over this stream. Nothing was recorded. Restrict the data instead; it "
        "may be erased once the hold is released (legal_hold.released), or if a court orders it."
    ),
    REQUEST: (
        "A request for access to this stream is not answered yet, and no day to erase by was fixed "
        "before it came. Nothing was recorded. Answer it first (access_request.answered), or "
        "record that the person agreed in writing (access_request.waived)."
    ),
}


Decoded = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Noted:
    """Stored bytes of what an erasure destroys: kept in memory, to be looked for afterwards."""

    stream: str
    secrets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """An erasure as decided at one version of its stream: what it freezes, which versions it
    erases (None: all), and what it keeps."""

    seen_version: int
    frozen: Draft
    versions: tuple[int, ...] | None
    kept: tuple[tuple[SealedRow, Mapping[str, Any]], ...]
    noted: Noted


class Erasing:
    """Plans erasures of one ledger."""

    def __init__(self, store: Store, opener: Opener, keys: KeyRing) -> None:
        self._store, self._opener, self._keys = store, opener, keys

    async def plan(self, submission: Submission) -> Plan:
        """What the erasure needs, as the stream is now. Raises ErasureBarred, IntegrityAlarm where
        its keys are not those of the stream, and for an erasure of some entries NothingToErase or
        TooLarge."""
        stored, decoded, state = await asyncio.to_thread(self._read, submission)
        if state.holds or state.barring_requests:
            # Whether they bar it is sealed. Without any, a vault that is slow holds up nothing.
            await in_vault_thread(self._check_precedence, submission, state, stored, decoded)
        return await asyncio.to_thread(self._plan, submission, state, stored, decoded)

    def _read(self, submission: Submission) -> tuple[list[StoredEntry], list[Decoded], CaseState]:
        stored = self._store.stream(submission.stream.text)
        decoded: list[Decoded] = [entries.decode(one.raw) for one in stored]
        return stored, decoded, replay(decoded)

    def _plan(
        self,
        submission: Submission,
        state: CaseState,
        stored: Sequence[StoredEntry],
        decoded: Sequence[Decoded],
    ) -> Plan:
        versions = _versions(submission, decoded)
        at = {one.position: entry for one, entry in zip(stored, decoded, strict=True)}
        rows = [row for row in self._store.sealed(sorted(at)) if row.key_class == SUBJECT]
        kept: list[tuple[SealedRow, Mapping[str, Any]]] = []
        if versions is not None:
            kept = [
                (row, at[row.position])
                for row in rows
                if at[row.position]["stream"]["version"] not in versions
            ]
            _check_kept(rows, kept)
        self._check_keys(submission, rows)
        now = instant(time.time())
        frozen = service_draft(
            "findings.frozen",
            submission.stream,
            decoded[0]["hub"],
            now,
            {
                "frozen_findings": findings_of(state, now[:10]),
                "judged_through": state.version,
            },
        )
        return Plan(state.version, frozen, versions, tuple(kept), self._note(submission, rows))

    def _check_keys(self, submission: Submission, rows: Sequence[SealedRow]) -> None:
        """The writer takes the keys to destroy from the tables, which somebody may have altered."""
        head = self._store.stream_head(submission.stream.text)
        key_ids = {row.key_id for row in rows}
        if head is not None and head.subject_key is not None:
            key_ids.add(head.subject_key)
        if key_ids:
            self._opener.check_erases(submission.stream.text, key_ids)

    def _note(self, submission: Submission, rows: Sequence[SealedRow]) -> Noted:
        wrapped = self._opener.wrapped({row.key_id for row in rows})
        # The nonce comes first, and is as random as what follows it.
        probes = [row.ciphertext[:PROBE] for row in rows]
        return Noted(submission.stream.text, (*wrapped, *probes))

    def _check_precedence(
        self,
        submission: Submission,
        state: CaseState,
        stored: Sequence[StoredEntry],
        decoded: Sequence[Decoded],
    ) -> None:
        """Raise ErasureBarred for the first thing that stands before the erasure."""
        # An id is its source's alone: of the events that have it, those of the type are meant.
        bases = self._sealed(stored, decoded, HOLD_PLACED, state.holds, "basis")
        if COURT in bases:
            raise _barred(COURT)
        ordered = submission.data.get("ordered_event")
        grounds = self._sealed(stored, decoded, ORDERED, (ordered,), "ground")
        if grounds and set(grounds) == {COURT}:
            return
        if bases:
            raise _barred(HOLD)
        if state.barring_requests:
            raise _barred(REQUEST)

    def _sealed(
        self,
        stored: Sequence[StoredEntry],
        decoded: Sequence[Decoded],
        type_name: str,
        ids: Collection[str | None],
        name: str,
    ) -> list[Any]:
        """A sealed field of each event of a type that has one of these ids; None where it was
        erased."""
        found = {
            one.position: entry
            for one, entry in zip(stored, decoded, strict=True)
            if one.type == type_name and entry["id"] in ids
        }
        opened = self._opener.open_all(found) if found else {}
        return [opened[position].values.get(name) for position in found]

    async def complete(self, plan: Plan, event: PreparedEvent) -> PreparedEvent:
        """The prepared erasure with what it keeps, sealed under the stream's next key. That key is
        in the key store before this returns; raises VaultUnavailable."""
        event = replace(event, expected_version=None, versions=plan.versions)
        if not plan.kept:
            return event
        key_id, key = await self._keys.next_key(plan.noted.stream)
        resealed = await in_vault_thread(self._opener.reseal, plan.kept, key_id, key)
        return replace(event, resealed=tuple(resealed))


def _versions(
    submission: Submission, decoded: Sequence[Mapping[str, Any]]
) -> tuple[int, ...] | None:
    named = submission.data.get("erased_events")
    if named is None:
        return None
    return tuple(sorted(e["stream"]["version"] for e in decoded if e["id"] in set(named)))


def _check_kept(rows: Sequence[SealedRow], kept: Sequence[tuple[SealedRow, object]]) -> None:
    if len(kept) == len(rows):
        raise NothingToErase(
            "None of the entries named has anything sealed about the person: it may have been "
            "erased before. Nothing was recorded.",
            [FieldError("/data/erased_events", "names entries with nothing to erase")],
        )
    if sum(len(row.ciphertext) for row, _ in kept) > MAX_KEPT:
        raise TooLarge(
            "What this erasure would keep of the stream is too much to be sealed anew at once. "
            "Record what is to be kept in a new stream, and erase this one whole.",
            extra={"limit": MAX_KEPT},
        )


def _barred(reason: str) -> ErasureBarred:
    return ErasureBarred(
        _BARRED[reason],
        [FieldError("/subject", "is a stream that must be kept")],
        {"reason": reason},
    )
