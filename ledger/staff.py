"""The staff map: who a staff reference stands for. A hub's system registers it, two people open it.

Guarantees: what a reference stands for is in the key store before the entry that says it is
registered, and that entry commits to it; registering the same again changes nothing. Nobody is told
who is behind a reference before two entries of the reference's own stream are committed that name
two people and two credentials, each of them a purpose, a body and a power, at most a day apart:
what waits for a second person is in the log and in no memory. There is no way from a name to a
reference, nor a list of either. Follows DPA 2018 s.62(2) to (4).
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import uuid4
from zoneinfo import ZoneInfo

from ledger.access import Credential, Operation, Owner, check_operation, may_open_staff, owner_in
from ledger.catalogue import CATALOGUE
from ledger.catalogue.bodies import parse_body
from ledger.catalogue.staff import StaffIdentity, StaffOpening, StaffRegistration
from ledger.consultation import check_actor
from ledger.database import database_errors
from ledger.errors import (
    DuplicateConflict,
    FieldError,
    IntegrityAlarm,
    Malformed,
    NotFound,
    OpeningNotWaiting,
    OutOfScope,
    PurposeRequired,
    SecondPersonRequired,
    VaultUnavailable,
)
from ledger.intake import Draft, split
from ledger.log.clock import instant
from ledger.opening import Opener
from ledger.queries import LOG_PURPOSES
from ledger.recording import Recorder
from ledger.store.base import Store
from ledger.store.records import ATTRIBUTION
from ledger.submission import StaffReference, StaffRequested, Submission
from ledger.tombstones import Tombstones, expired
from ledger.vault.keystore import KeyStore
from ledger.vault.staffmap import LOG, StaffRow, Whose, open_identity, seal_identity
from ledger.vault.threads import in_key_thread, in_vault_thread
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.entry import CENTRAL_HUB, SERVICE_CODE, StreamRef

REGISTERED: Final = "staff.registered"
REQUESTED: Final = "staff_opening.requested"
CONFIRMED: Final = "staff_opening.confirmed"
#: For how long a request waits for a second person.
WAITS: Final = timedelta(hours=24)
_LONDON: Final = ZoneInfo("Europe/London")


@dataclass(frozen=True, slots=True)
class _Known:
    """What the log says of a reference."""

    reference: str
    position: int
    first: Mapping[str, Any]
    later: Sequence[Mapping[str, Any]]

    @property
    def owner(self) -> Owner:
        return owner_in(self.first)

    def told(self) -> StaffReference:
        since, until = self.first["occurred_at"], self.first["data"]["until"]
        return StaffReference(self.reference, self.owner.organisation, since, until)


class Staff:
    """The staff map of one ledger. One per event loop."""

    def __init__(
        self,
        origin: str,
        store: Store,
        keys: KeyStore,
        opener: Opener,
        recorder: Recorder,
        tombstones: Tombstones,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._origin, self._store, self._keys = origin, store, keys
        self._opener, self._recorder, self._tombstones = opener, recorder, tombstones
        self._clock = clock
        self._registering = asyncio.Lock()

    async def register(
        self, credential: Credential, reference: str, body: object, actor: str | None
    ) -> StaffReference:
        """Register a reference, or find that it is. Raises Malformed, OutOfScope, Expired, and
        DuplicateConflict when it stands for somebody else or is not this credential's."""
        check_operation(credential, Operation.REGISTER_STAFF)
        asked = parse_body(StaffRegistration, body)
        organisation = _organisation(credential, asked.organisation)
        identity = asked.model_dump(include=set(StaffIdentity.model_fields))
        # One after the other: what two requests begin together is registered once.
        async with self._registering:
            known = await asyncio.to_thread(self._find, reference, lambda _: True)
            if known is not None:
                await in_vault_thread(self._check_same, credential, known, organisation, identity)
                return known.told()
            digest = await in_key_thread(self._keep, reference, organisation, identity)
            since, until = _year(datetime.fromtimestamp(self._clock(), _LONDON).date())
            data = {"until": until, "identity_sha256": digest}
            await self._recorder.record_for_service(
                self._draft(credential, REGISTERED, reference, organisation, actor, data, version=0)
            )
        return StaffReference(reference, organisation, since, until, created=True)

    async def request(
        self,
        credential: Credential,
        reference: str,
        body: object,
        actor: str | None,
        purpose: str | None,
    ) -> StaffRequested:
        """The first person asks. Raises Forbidden, ActorRequired, PurposeRequired, Malformed,
        NotFound or Expired."""
        asked, known = await self._asked(credential, reference, body, actor, purpose)
        draft = self._said(credential, REQUESTED, known, asked, actor, {"log_purpose": purpose})
        recorded = await self._recorder.record_for_service(draft)
        return StaffRequested(draft.submission.id, _ends(recorded.recorded_at))

    async def confirm(
        self,
        credential: Credential,
        reference: str,
        opening: str,
        body: object,
        actor: str | None,
        purpose: str | None,
    ) -> dict[str, Any]:
        """The second person asks, and is told. Raises as `request` does, OpeningNotWaiting, and
        SecondPersonRequired when the person or the credential is the first one's."""
        asked, known = await self._asked(credential, reference, body, actor, purpose)
        first = next((e for e in known.later if (e["type"], e["id"]) == (REQUESTED, opening)), None)
        if first is None or instant(self._clock()) >= _ends(first["recorded_at"]):
            raise OpeningNotWaiting(
                "Nobody has asked under this id within the last 24 hours. Let the first person ask "
                "again, and use the id they are given.",
            )
        told = [
            (e["actor"], e["submitted_by"])
            for e in known.later
            if e["type"] == CONFIRMED and e["data"]["request_event"] == opening
        ]
        if told and (actor, credential.public_id) not in told:
            raise OpeningNotWaiting(
                "Two people have been told under this id already. Let the first person ask again, "
                "and use the id they are given.",
            )
        if actor == first["actor"] or credential.public_id == first["submitted_by"]:
            raise SecondPersonRequired(
                "Who is behind a reference is told to two people together. Let another person than "
                "the one who asked first send this, with a token of their own."
            )
        if purpose != first["data"]["log_purpose"]:
            raise PurposeRequired(
                "The first person asked for another purpose. Name the same one in the header "
                "Purpose-Of-Use, or let them ask again.",
                [FieldError("Purpose-Of-Use", "is not that of the request")],
            )
        data = {"log_purpose": purpose, "request_event": opening}
        await self._recorder.record_for_service(
            self._said(
                credential, CONFIRMED, known, asked, actor, data, version=1 + len(known.later)
            )
        )
        # Opened only now: what was destroyed before this was recorded is not given out.
        identity = await in_vault_thread(self._open, known)
        return known.told().to_json() | identity

    async def _asked(
        self,
        credential: Credential,
        reference: str,
        body: object,
        actor: str | None,
        purpose: str | None,
    ) -> tuple[StaffOpening, _Known]:
        """What one of the two people asks, and of which reference."""
        check_operation(credential, Operation.OPEN_STAFF)
        check_actor(credential, actor)
        if purpose not in LOG_PURPOSES:
            raise PurposeRequired(
                "Say in the header Purpose-Of-Use for which use of section 62(4) the staff map is "
                f"opened: {', '.join(sorted(LOG_PURPOSES))}.",
                [FieldError("Purpose-Of-Use", "is not one of the log purposes")],
            )
        asked = parse_body(StaffOpening, body)
        known = await asyncio.to_thread(
            self._find, reference, lambda owner: may_open_staff(credential, owner.organisation)
        )
        if known is None:
            raise NotFound
        return asked, known

    def _find(self, reference: str, may: Callable[[Owner], bool]) -> _Known | None:
        """What the log has of a reference that the caller may know of, after the same looks whether
        there is none or it is not for them; raises Expired."""
        stream = _stream(reference)
        stored = self._store.stream(stream.text)
        was = self._tombstones.look((), [stream.text]).streams.get(stream.text)
        if was is not None and may(Owner(*was)):
            raise expired()
        if not stored:
            return None
        first, *later = [entries.decode(one.raw) for one in stored]
        if first["type"] != REGISTERED or not may(owner_in(first)):
            return None
        return _Known(reference, stored[0].position, first, later)

    def _keep(self, reference: str, organisation: str, identity: Mapping[str, str]) -> str:
        """Put an identity into the staff map, where it stays as it was first put there; returns its
        digest. Raises DuplicateConflict or VaultUnavailable."""
        stream = _stream(reference)
        kinds = sorted(entries.STREAM_KINDS)
        if self._store.stream_heads([f"{kind}/{reference}" for kind in kinds]):
            # Who reads `case/R` is recorded in `access/R`.
            raise _conflict()
        whose = Whose(self._origin, reference, organisation)
        key_of = (stream.text, LOG)
        try:
            key_id, key = self._keys.keys_for([key_of])[key_of]
            row = StaffRow(key_id, seal_identity(key, whose, identity))
            kept = self._keys.keep_staff(reference, row)
        except database_errors() as error:
            raise VaultUnavailable(
                "The key store does not answer. Nothing was recorded."
            ) from error
        try:
            # A registration that was cut short has left one: it is finished, not made again.
            found, digest = open_identity(key, whose, kept.sealed)
        except VaultUnavailable as error:
            raise _conflict() from error
        if found != identity:
            raise _conflict()
        return digest

    def _check_same(
        self,
        credential: Credential,
        known: _Known,
        organisation: str,
        identity: Mapping[str, str],
    ) -> None:
        """Raise DuplicateConflict unless this is the registration again. Nobody but the credential
        that made it hears whether it is: others could try names out."""
        own = known.first["submitted_by"] == credential.public_id
        if not own or known.owner.organisation != organisation or self._open(known) != identity:
            raise _conflict()

    def _open(self, known: _Known) -> dict[str, str]:
        """Who is behind a reference; raises Expired, VaultUnavailable, or IntegrityAlarm when the
        staff map does not say what was registered."""
        opened = self._opener.open(known.position, known.first)
        try:
            row = self._keys.staff(known.reference)
            keys = {} if row is None else self._keys.keys([row.key_id])
        except database_errors() as error:
            raise VaultUnavailable("The key store does not answer. Try again later.") from error
        if row is None or row.key_id not in keys:
            if self._store.stream_head(_stream(known.reference).text) is None:
                raise expired()
            lost = ATTRIBUTION in opened.erased
            raise VaultUnavailable(
                "Who is behind this reference was lost with a restore, as an entry of the log says."
                if lost
                else "The staff map lacks this reference and no entry of the log says why: run "
                "hub-ledger fsck."
            )
        whose = Whose(self._origin, known.reference, known.owner.organisation)
        identity, digest = open_identity(keys[row.key_id], whose, row.sealed)
        if opened.values.get("identity_sha256", digest) != digest:
            raise IntegrityAlarm("The staff map was altered: run hub-ledger fsck.")
        return identity

    def _said(
        self,
        credential: Credential,
        type_name: str,
        known: _Known,
        asked: StaffOpening,
        actor: str | None,
        data: Mapping[str, Any],
        version: int | None = None,
    ) -> Draft:
        """The entry of one of the two steps; it comes at one version of the stream if that is
        given, so that two who confirm at once are not both told."""
        organisation = credential.organisation or SERVICE_CODE
        said = {**asked.model_dump(), **data}
        return self._draft(
            credential, type_name, known.reference, organisation, actor, said, version
        )

    def _draft(
        self,
        credential: Credential,
        type_name: str,
        reference: str,
        organisation: str,
        actor: str | None,
        data: Mapping[str, Any],
        version: int | None = None,
    ) -> Draft:
        submission = Submission(
            id=str(uuid4()),
            source=SERVICE_CODE,
            type=type_name,
            schema=None,
            stream=_stream(reference),
            time=instant(self._clock()),
            hub=CENTRAL_HUB,
            organisation=organisation,
            actor=actor,
            regime=None,
            expected_version=version,
            data=data,
        )
        event_type = CATALOGUE.get(type_name)
        assert event_type is not None
        return split(credential, submission, event_type)


def _stream(reference: str) -> StreamRef:
    return StreamRef("access", reference)


def _organisation(credential: Credential, named: str | None) -> str:
    """Whose staff it is: the credential's own organisation, or the one that a credential made with
    `all` names."""
    if credential.all and named is None:
        raise Malformed(
            "A token made with --all says whose staff it is.",
            [FieldError("/organisation", "is required with this token")],
        )
    if not credential.all and named not in (None, credential.organisation):
        raise OutOfScope(
            "A token registers staff references of its own organisation.",
            [FieldError("/organisation", "the token is not bound to this organisation")],
        )
    return named or str(credential.organisation)


def _year(today: date) -> tuple[str, str]:
    """The first and the last day of a reference that is registered today."""
    # The last of February is the 28th in the year after a leap year.
    day = 28 if (today.month, today.day) == (2, 29) else today.day
    return today.isoformat(), today.replace(year=today.year + 1, day=day).isoformat()


def _ends(recorded_at: str) -> str:
    """Until when a request waits that was recorded then."""
    ends = datetime.fromisoformat(recorded_at).astimezone(UTC) + WAITS
    return instant(ends.timestamp())


def _conflict() -> DuplicateConflict:
    return DuplicateConflict(
        "This reference is in use already, or was registered by another token. Make a new one at "
        "random and register that."
    )
