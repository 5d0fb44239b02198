"""Packs: case bundles for an auditor, an inspector or the person concerned, under a signed cover.

Guarantees: packs of one case for different readers hold the same entries with the same proofs where
they are made against the same checkpoint, and differ in the disclosures alone; a cover names the
reader, recipient, purpose and last day, and binds every byte. A person's pack opens what is about
the person and which organisations received it, never who on the staff did what; it says nothing of
any other stream, and its words are the same whatever it leaves out. The reading is recorded before
anything is opened, and the making of the pack, with its digest, before it is returned. (UK GDPR Art
15, DPA 2018 s.45; docs/formats.md, "Packs".)
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from ledger.access import (
    ATTRIBUTION,
    CODED,
    PERSONAL,
    Credential,
    Operation,
    Owner,
    check_operation,
    check_pack,
)
from ledger.catalogue import CATALOGUE
from ledger.consultation import check_actor, check_purpose, consultation
from ledger.errors import FieldError, Invalid
from ledger.exports.bundles import case_members, packed
from ledger.intake import LONDON, Draft, split
from ledger.log.client import WriterClient
from ledger.log.clock import instant
from ledger.opening import Opener
from ledger.reading import Reader, openable
from ledger.recording import Recorder
from ledger.store.base import Store
from ledger.store.records import StoredEntry
from ledger.submission import Submission
from ledger.vault.threads import in_vault_thread
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.cover import AUDITOR, COVER, INSPECTOR, SUBJECT, Cover, digest_of
from ledger_verifier.formats.entry import SERVICE_CODE, StreamRef

PRODUCED: Final = "export.produced"
#: What a cover names as the recipient of a person's own pack, whose name is on no file.
PERSON: Final = "person"
#: Days until a pack is to be destroyed unless another day is asked for, and the most there may be.
DEFAULT_DAYS: Final = 90
MAX_DAYS: Final = 366
#: Classes of sealed fields that packs open, by reader.
_CLASSES: Final[Mapping[str, frozenset[str]]] = {
    AUDITOR: frozenset({ATTRIBUTION}),
    INSPECTOR: frozenset({ATTRIBUTION, CODED, PERSONAL}),
    SUBJECT: frozenset({CODED, PERSONAL}),
}
#: Attribution that a person is told: who received what about them, not who on the staff sent it.
_TOLD: Final = frozenset({"recipient_organisation", "true_organisation"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What pack is asked for: its reader, the recipient's organisation code, the last day."""

    audience: str
    recipient: str
    expires_on: str


def wanted_pack(audience: str, recipient: str | None, expires_on: str | None) -> Wanted:
    """What pack is asked for, with what was left out; raises Invalid."""
    today = datetime.now(LONDON).date()
    faults = []
    if audience == SUBJECT:
        if recipient not in (None, PERSON):
            faults.append(FieldError("?recipient", "is not named in a person's own pack"))
        recipient = PERSON
    elif recipient is None or not entries.is_code(recipient):
        faults.append(FieldError("?recipient", "must be the code of an organisation"))
    if expires_on is None:
        expires_on = (today + timedelta(days=DEFAULT_DAYS)).isoformat()
    elif not entries.is_day(expires_on) or not (
        today <= date.fromisoformat(expires_on) <= today + timedelta(days=MAX_DAYS)
    ):
        faults.append(FieldError("?expires", f"must be a day at most {MAX_DAYS} days from now"))
    if faults:
        raise Invalid("The pack cannot be made as asked for.", faults)
    return Wanted(audience, recipient or "", expires_on)


class Packer:
    """Makes packs of one ledger."""

    def __init__(
        self,
        origin: str,
        store: Store,
        opener: Opener,
        recorder: Recorder,
        reader: Reader,
        writer: WriterClient,
    ) -> None:
        self._origin, self._store, self._opener = origin, store, opener
        self._recorder, self._reader, self._writer = recorder, reader, writer

    async def pack(
        self,
        credential: Credential,
        case_id: str,
        wanted: Wanted,
        *,
        actor: str | None,
        purpose: str | None,
        reason: str | None,
    ) -> bytes:
        """A pack of a case. Raises Forbidden, ActorRequired, PurposeRequired, ReasonRequired,
        NotFound, and what recording raises."""
        check_operation(credential, Operation.READ_CASES)
        check_pack(credential, wanted.audience)
        check_actor(credential, actor)
        purpose = check_purpose(purpose)
        stored, owner = await asyncio.to_thread(self._reader.find_case, credential, case_id)
        decoded = {one.position: entries.decode(one.raw) for one in stored}
        names = {
            position: _names(credential, entry, owner, wanted.audience)
            for position, entry in decoded.items()
        }
        first = decoded[stored[0].position]
        if any(names.values()):
            reason = await self._reader.reason_for(credential, actor, stored[0].stream, reason)
        await self._recorder.record_for_service(
            consultation(
                credential,
                first,
                owner.hub,
                actor=actor,
                channel="case-bundle",
                purpose=purpose,
                fields_opened=[name for found in names.values() for name in found],
                count=len(stored),
                reason=reason,
            )
        )
        # Opened only now: what was erased before the reading was recorded is not given out.
        size, members = await in_vault_thread(self._members, stored, decoded, names)
        cover = Cover(
            self._origin,
            wanted.audience,
            wanted.recipient,
            purpose,
            instant(time.time()),
            wanted.expires_on,
            digest_of(members),
        )
        signed = await self._writer.sign(cover.text)
        sealed = any(name.startswith("disclosures/") for name, _ in members)
        await self._recorder.record_for_service(
            _produced(credential, first, owner, cover, actor=actor, sealed=sealed)
        )
        await self._recorder.cover(size)
        return packed([*members, (COVER, signed)])

    def _members(
        self,
        stored: Sequence[StoredEntry],
        decoded: Mapping[int, Mapping[str, Any]],
        names: Mapping[int, Sequence[str]],
    ) -> tuple[int, list[tuple[str, bytes]]]:
        wanted = {position: decoded[position] for position, found in names.items() if found}
        opened = self._opener.open_all(wanted)
        texts = {
            position: [
                disclosure.text
                for disclosure in opened[position].disclosures
                if disclosure.name in names[position]
            ]
            for position in wanted
        }
        size, _, members = case_members(self._store, stored, texts)
        return size, members


def _names(
    credential: Credential, entry: Mapping[str, Any], owner: Owner, audience: str
) -> list[str]:
    """Names of the sealed fields of an entry that a pack for this reader opens."""
    event_type = CATALOGUE.get(entry["type"], entry["schema"])
    if event_type is None:
        return []
    told = _TOLD if audience == SUBJECT else frozenset()
    return [
        name
        for name in openable(credential, entry, owner)
        if name in told or event_type.sealed[name] in _CLASSES[audience]
    ]


def _produced(
    credential: Credential,
    first: Mapping[str, Any],
    owner: Owner,
    cover: Cover,
    *,
    actor: str | None,
    sealed: bool,
) -> Draft:
    """The entry that says that the pack was made."""
    submission = Submission(
        id=str(uuid4()),
        source=SERVICE_CODE,
        type=PRODUCED,
        schema=None,
        stream=StreamRef("access", first["stream"]["id"]),
        time=cover.made_at,
        hub=owner.hub,
        organisation=credential.organisation or SERVICE_CODE,
        actor=actor,
        regime=first["regime"],
        expected_version=None,
        data={
            "audience": cover.audience,
            "case_purpose": cover.purpose,
            "holds_sealed": sealed,
            "expires_on": cover.expires_on,
            "recipient": cover.recipient,
            "members_digest": cover.members,
        },
    )
    event_type = CATALOGUE.get(PRODUCED, None)
    assert event_type is not None
    return split(credential, submission, event_type)
