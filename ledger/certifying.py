"""Erasure certificates: what this ledger states of an erasure, signed by its key, in one file.

Guarantees: no certificate without an `erasure.verified` of the erasure; what the controller's form
states is what the entries enclosed show, and the subject's form names nobody. That it was made is
recorded first, as a reading of the case. The key signs in the writer's process alone.
"""

import asyncio
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.access import Credential, Operation, check_certifies, check_operation
from ledger.consultation import CONSULTED, COPIES, PRODUCED, check_actor
from ledger.errors import ErasureNotVerified
from ledger.exports.bundles import covering_checkpoint, packed, stream_members
from ledger.log.client import WriterClient
from ledger.log.clock import instant
from ledger.log.genesis import new_nonce
from ledger.opening import Opener
from ledger.projections.cases import replay
from ledger.receipts import nodes
from ledger.recording import Recorder
from ledger.store.base import Store
from ledger.store.records import ERASURE, StoredEntry
from ledger.streams import Found, Streams
from ledger.vault.threads import in_vault_thread
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.certificate import (
    CERTIFICATE,
    Certificate,
    write_subject_certificate,
)
from ledger_verifier.formats.entry import SERVICE_CODE, StreamRef
from ledger_verifier.formats.merkle import leaf_hash, prove_inclusion
from ledger_verifier.meaning.case_state import CaseState
from ledger_verifier.meaning.certified import CONTROLLER, controller_facts, subject_facts

_ABOUT_ERASURES: Final = (ERASURE, "erasure.verified", "backup.horizon_passed")
#: Whoever has a copy says by this that it is destroyed.
DESTROYED: Final = "destruction.confirmed"


@dataclass(slots=True)
class _Made:
    """A certificate but for its signature, and what is enclosed."""

    certificate: Certificate
    checkpoint: bytes
    members: list[tuple[str, bytes]] = field(default_factory=list)
    proofs: dict[int, list[bytes]] = field(default_factory=dict)


class Certifier:
    """Makes certificates of one ledger."""

    def __init__(
        self,
        origin: str,
        store: Store,
        opener: Opener,
        recorder: Recorder,
        streams: Streams,
        writer: WriterClient,
    ) -> None:
        self._origin, self._store, self._opener = origin, store, opener
        self._recorder, self._streams, self._writer = recorder, streams, writer

    async def certificate(
        self, credential: Credential, case_id: str, actor: str | None, form: str
    ) -> bytes:
        """The certificate of a case's erasure in one of the forms. Raises Forbidden, ActorRequired,
        NotFound, ErasureNotVerified."""
        check_operation(credential, Operation.CERTIFY)
        check_certifies(credential, form)
        check_actor(credential, actor)
        consulted = await self._streams.consult(
            credential,
            StreamRef("case", case_id),
            actor=actor,
            channel="report",
            purpose=None,
        )
        made = await in_vault_thread(self._make, consulted.found, form)
        await self._recorder.cover(made.certificate.tree_size)
        signed = await self._writer.sign(made.certificate.text)
        return await asyncio.to_thread(_written, made, signed)

    def _make(self, found: Found, form: str) -> _Made:
        stored, decoded = found.stored, found.decoded
        state = replay(stored)
        _check_verified(state, form)
        facts = controller_facts(state)
        now = instant(time.time())
        exports = self._exports(found.stream.id, _last(stored, ERASURE), now[:10])
        if form == CONTROLLER:
            size, checkpoint, members = stream_members(self._store, stored, {})
            certificate = self._state(form, now, size, facts, exports, stored)
            return _Made(certificate, checkpoint, members)
        about = _rests_on(state, stored, decoded)
        size, checkpoint = covering_checkpoint(self._store, about[-1].position)
        told = subject_facts(facts, exports)
        certificate = self._state(form, now, size, told, told["copies"], about)
        node = nodes(self._store.cells)
        proofs = {one.position: prove_inclusion(one.position, size, node) for one in about}
        return _Made(certificate, checkpoint, proofs=proofs)

    def _state(
        self,
        form: str,
        now: str,
        size: int,
        facts: Mapping[str, Any],
        exports: Mapping[str, Any],
        rests_on: Sequence[StoredEntry],
    ) -> Certificate:
        leaves = tuple((one.position, leaf_hash(one.raw).hex()) for one in rests_on)
        return Certificate(self._origin, form, now, new_nonce(), size, leaves, facts, exports)

    def _exports(self, case_id: str, before: int, today: str) -> dict[str, Any]:
        """How many copies with sealed fields were taken of the case before that position, how many
        of them were confirmed to be destroyed, and which are outstanding."""
        stored = self._store.stream(StreamRef("access", case_id).text)
        decoded = {one.position: entries.decode(one.raw) for one in stored}
        readings = {p: e for p, e in decoded.items() if e["type"] == CONSULTED and p < before}
        packs, copies = _packs(decoded, before)
        for position, opened in self._opener.open_all(readings).items():
            entry, values = readings[position], opened.values
            whole = values.get("access_channel") == COPIES and values.get("fields_opened")
            # What came of a reading as a pack is that copy, and no other.
            own = entry["source"] == SERVICE_CODE
            if whole and not (own and entry["id"] in packs):
                copies[position] = _Copy(entry["id"], entry["id"], entry["recorded_at"][:10])
        confirmed = {
            entry["data"]["export_event"]
            for entry in decoded.values()
            if entry["type"] == DESTROYED
        }
        kept = [c for _, c in sorted(copies.items()) if not {c.event, c.reading} & confirmed]
        return {
            "taken": len(copies),
            "destroyed": len(copies) - len(kept),
            "outstanding": [copy.stated(today) for copy in kept],
        }


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy that left the ledger: the event that says so, the reading that it came of, the day,
    and of a pack the last day and for which kind of reader it was made."""

    event: str
    reading: str
    taken_on: str
    destroy_by: str | None = None
    audience: str | None = None

    def stated(self, today: str) -> dict[str, Any]:
        """What a certificate of that day states of it: no recipient's name."""
        return {
            "event": self.event,
            "taken_on": self.taken_on,
            "destroy_by": self.destroy_by,
            "audience": self.audience,
            "overdue": self.destroy_by is not None and self.destroy_by < today,
        }


def _packs(
    decoded: Mapping[int, Mapping[str, Any]], before: int
) -> tuple[set[str], dict[int, _Copy]]:
    """The readings that packs came of, and by position the packs with sealed fields whose reading,
    which is when they were opened, was before that position."""
    # An id is one source's: what another system records under it is another event.
    own = {p: entry for p, entry in decoded.items() if entry["source"] == SERVICE_CODE}
    read_at = {entry["id"]: position for position, entry in own.items()}
    readings, copies = set(), {}
    for position, entry in decoded.items():
        if entry["type"] != PRODUCED:
            continue
        data, reading = entry["data"], entry["id"]
        # What the service itself did not record speaks for no reading, and neither does schema 1,
        # which names none: that reading counts as a copy besides, rather than as none.
        if position in own:
            reading = data.get("consulted_event", reading)
            readings.add(reading)
        if data["holds_sealed"] and read_at.get(reading, position) < before:
            copies[position] = _Copy(
                entry["id"],
                reading,
                entry["recorded_at"][:10],
                data["expires_on"],
                data["audience"],
            )
    return readings, copies


def _written(made: _Made, signed: bytes) -> bytes:
    """The file of a certificate."""
    if made.certificate.form == CONTROLLER:
        return packed([*made.members, (CERTIFICATE, signed)])
    file = io.BytesIO()
    write_subject_certificate(file, signed, made.checkpoint, made.proofs)
    return file.getvalue()


def _check_verified(state: CaseState, form: str) -> None:
    """Raise ErasureNotVerified unless there is an erasure, and each of the form's is verified."""
    erasures = state.erasures
    if form != CONTROLLER:
        erasures = () if state.whole_erasure is None else (state.whole_erasure,)
    if not erasures or any(erasure.verified_at is None for erasure in erasures):
        raise ErasureNotVerified(
            "There is no certificate of this case: it was not erased, or some entries of it alone, "
            "of which there is the controller's form; or the ledger has not found yet that nothing "
            "is left. That is looked for right after an erasure; try again in a minute. If it "
            "stays so, run hub-ledger fsck."
        )


def _last(stored: Sequence[StoredEntry], type_name: str) -> int:
    return max((one.position for one in stored if one.type == type_name), default=-1)


def _rests_on(
    state: CaseState, stored: Sequence[StoredEntry], decoded: Mapping[int, Mapping[str, Any]]
) -> list[StoredEntry]:
    """The entries that tell of the last erasure of the whole."""
    assert state.whole_erasure is not None
    event = state.whole_erasure.id
    found = []
    for one in stored:
        entry = decoded[one.position]
        names = (entry["id"], entry["data"].get("executed_event"))
        if one.type in _ABOUT_ERASURES and event in names:
            found.append(one)
    return found
