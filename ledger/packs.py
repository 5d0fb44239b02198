"""Bundles of one stream, and packs: such bundles made for somebody, under a signed cover.

Guarantees: packs of one stream for different readers that are made against the same checkpoint hold
the same entries, proofs and checkpoint, byte for byte, and differ in disclosures, nonce and cover
alone, and in the page that is in a person's; a cover names the reader, recipient, purpose and last
day, binds every byte, and by the nonce fits no other pack. A person's pack says nothing of any
other stream, and its words are the same whatever it leaves out. The reading is recorded before
anything is opened, and the making of a pack, with its digest, before it is given out. (UK GDPR Art
15, DPA 2018 s.45; docs/formats.md, "Packs". What is opened to whom is in `ledger.audiences`.)
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final
from uuid import uuid4

from ledger.access import Credential, Operation, check_operation
from ledger.audiences import check_pack, opened_for
from ledger.catalogue import CATALOGUE
from ledger.consultation import COPIES, PRODUCED, check_actor, check_purpose
from ledger.errors import FieldError, Malformed
from ledger.exports.bundles import packed, published_checkpoint, stream_members
from ledger.intake import LONDON, Draft, split
from ledger.log.client import WriterClient
from ledger.log.clock import instant
from ledger.log.genesis import new_nonce
from ledger.marks import about_others
from ledger.recording import Recorder
from ledger.store.base import Store
from ledger.streams import Consulted, Found, Streams, openable
from ledger.submission import Submission
from ledger.vault.threads import in_vault_thread
from ledger_verifier.audit.person import PAGE, person_page
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.cover import COVER, NONCE, SUBJECT, Cover, digest_of, encode_nonce
from ledger_verifier.formats.entry import SERVICE_CODE, StreamRef
from ledger_verifier.meaning.case import OF_ANOTHER

#: What a cover names as the recipient of a person's own pack, whose name is on no file.
PERSON: Final = "person"
#: Days until a pack is to be destroyed unless another day is asked for, and the most there may be.
DEFAULT_DAYS: Final = 90
MAX_DAYS: Final = 366
CODE_FORM: Final = (
    "must be the code of an organisation: 2 to 40 lower-case letters, digits and hyphens"
)
Members = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What pack is asked for: its reader, the recipient's organisation code, the last day."""

    audience: str
    recipient: str
    expires_on: str


def wanted_pack(audience: str, recipient: str | None, expires_on: str | None) -> Wanted:
    """What pack is asked for, with what was left out; raises Malformed."""
    today = datetime.now(LONDON).date()
    last = today + timedelta(days=MAX_DAYS)
    faults = []
    if audience == SUBJECT:
        if recipient not in (None, PERSON):
            faults.append(FieldError("?recipient", "is not named in a person's own pack"))
        recipient = PERSON
    elif recipient is None or not entries.is_code(recipient):
        faults.append(FieldError("?recipient", CODE_FORM))
    if expires_on is None:
        expires_on = (today + timedelta(days=DEFAULT_DAYS)).isoformat()
    elif not entries.is_day(expires_on) or not (today <= date.fromisoformat(expires_on) <= last):
        bounds = f"must be a day in the form YYYY-MM-DD, from {today} to {last}"
        faults.append(FieldError("?expires", bounds))
    if faults:
        raise Malformed("The pack cannot be made as asked for.", faults)
    return Wanted(audience, recipient or "", expires_on)


class Packer:
    """Makes bundles and packs of the streams of one ledger."""

    def __init__(
        self,
        origin: str,
        store: Store,
        recorder: Recorder,
        streams: Streams,
        writer: WriterClient,
    ) -> None:
        self._origin, self._store = origin, store
        self._recorder, self._streams, self._writer = recorder, streams, writer

    async def bundle(
        self,
        credential: Credential,
        stream: StreamRef,
        wanted: Wanted | None = None,
        *,
        at: int | None = None,
        actor: str | None,
        purpose: str | None,
        reason: str | None,
    ) -> bytes:
        """A bundle of a stream, or a pack: of what is below the size `at`, against the checkpoint
        published of that size, or of all there is. A plain one opens what the caller may open, if
        it is for a purpose. Raises Forbidden, ActorRequired, PurposeRequired, ReasonRequired,
        BeyondTheLog, NotFound, Expired, and what recording raises."""
        check_operation(credential, Operation.READ_STREAMS)
        if wanted is not None:
            check_pack(credential, wanted.audience, stream.kind)
        check_actor(credential, actor)
        if wanted is not None or purpose is not None:
            purpose = check_purpose(purpose)
        against = None
        if at is not None:
            # Before the stream is looked for: what it says depends on no stream.
            against = await asyncio.to_thread(published_checkpoint, self._store, at)

        consulted = await self._streams.consult(
            credential,
            stream,
            actor=actor,
            channel=COPIES,
            purpose=purpose,
            reason=reason,
            size=at,
            fields=partial(self._opened, credential, wanted, purpose),
        )
        # What opens nothing waits for no keeper of keys.
        elsewhere = in_vault_thread if consulted.opens else asyncio.to_thread
        size, members = await elsewhere(self._members, consulted, against)
        if wanted is not None:
            assert purpose is not None
            if wanted.audience == SUBJECT:
                members.append((PAGE, await asyncio.to_thread(person_page, dict(members))))
            facts = (wanted.audience, wanted.recipient, purpose)
            now = instant(time.time())
            members.append((NONCE, encode_nonce(new_nonce())))
            digest = await asyncio.to_thread(digest_of, members)
            cover = Cover(self._origin, *facts, now, wanted.expires_on, digest)
            members.append((COVER, await self._writer.sign(cover.text)))
            sealed = any(name.startswith("disclosures/") for name, _ in members)
            await self._recorder.record_for_service(
                _produced(credential, consulted, cover, actor=actor, sealed=sealed)
            )
        await self._recorder.cover(size)
        return await asyncio.to_thread(packed, members)

    def _opened(
        self, credential: Credential, wanted: Wanted | None, purpose: str | None, found: Found
    ) -> dict[int, list[str]]:
        """Names of the sealed fields that a pack, or a plain bundle, opens, by position. A person's
        own opens nothing that is said by now to be about somebody else, of whichever size it is."""
        if wanted is None and purpose is None:
            return {}
        others: frozenset[int] = frozenset()
        unopened: frozenset[str] = frozenset()
        if wanted is not None and wanted.audience == SUBJECT:
            others = about_others(self._store, found.stream.text)
            # Nor what is said of it there, which may well say who it is.
            unopened = OF_ANOTHER
        return {
            position: openable(credential, entry, found.owner)
            if wanted is None
            else opened_for(wanted.audience, credential, entry, found.owner)
            for position, entry in found.decoded.items()
            if entry["stream"]["version"] not in others and entry["type"] not in unopened
        }

    def _members(
        self, consulted: Consulted, against: tuple[int, bytes] | None
    ) -> tuple[int, Members]:
        """The size of the tree, and the members."""
        texts = self._streams.disclosures(consulted)
        stored = consulted.found.stored
        size, _, members = stream_members(self._store, stored, texts, against)
        return size, members


def _produced(
    credential: Credential,
    consulted: Consulted,
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
        stream=StreamRef("access", consulted.found.stream.id),
        time=cover.made_at,
        hub=consulted.found.owner.hub,
        organisation=credential.organisation or SERVICE_CODE,
        actor=actor,
        regime=consulted.first["regime"],
        expected_version=None,
        data={
            "audience": cover.audience,
            "case_purpose": cover.purpose,
            "holds_sealed": sealed,
            "expires_on": cover.expires_on,
            "recipient": cover.recipient,
            "members_digest": cover.members,
            "consulted_event": consulted.event,
        },
    )
    event_type = CATALOGUE.get(PRODUCED, None)
    assert event_type is not None
    return split(credential, submission, event_type)
