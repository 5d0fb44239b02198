"""Intake: from a submission to an entry that lacks only its place in the log.

Guarantees: what is prepared has passed its type's model, holds in the open only what the catalogue
declares open, commits to every sealed field of its type exactly once under a fresh salt, and has
been encoded and decoded by the verifier's own rules. A recipient's entry names its category in the
open and its true submitter in sealed fields alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import uuid4
from zoneinfo import ZoneInfo

from ledger.access import Credential, check_record
from ledger.catalogue import CATALOGUE, RESERVED, EventType
from ledger.errors import FieldError, Invalid, ReservedType, TooLarge
from ledger.log.genesis import new_nonce
from ledger.log.messages import PreparedEvent
from ledger.store.records import ATTRIBUTION, SUBJECT, ExpiryPlan
from ledger.submission import Submission
from ledger.vault.sealing import associated_data, seal
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.disclosure import Disclosure, commit
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.errors import EntryError
from ledger_verifier.meaning.schemas import ATTRIBUTION as ATTRIBUTION_CLASS

LONDON: Final = ZoneInfo("Europe/London")
ERASURE: Final = "erasure.executed"
#: The sealed field of a share, and of what its recipient says of it, that names the recipient.
RECEIVED_BY: Final = "recipient_organisation"
#: Bytes kept free for what the writer stamps: version, link hash, and of an erasure its key ids and
#: versions.
_STAMP_ROOM: Final = 2048


@dataclass(frozen=True, slots=True)
class Draft:
    """A submission split by class: what goes into the entry in the open, and what is sealed."""

    submission: Submission
    event_type: EventType
    entry: dict[str, Any]
    disclosures: dict[str, list[Disclosure]]

    @property
    def stream(self) -> str:
        return self.submission.stream.text

    @property
    def key(self) -> tuple[str, str]:
        """What a retry is recognised by: the true source and the id."""
        return self.submission.source, self.submission.id

    def with_added(self, found: Mapping[str, Any]) -> "Draft":
        """The draft, sealing also what the service found out that its type wants of it; raises
        TooLarge."""
        _, sealed = self.event_type.service_fields(None, {}, found)
        more = _disclosures(self.event_type, sealed)
        disclosures = {name: [*group, *more[name]] for name, group in self.disclosures.items()}
        entry = {**self.entry, "data": {**self.entry["data"], "_sd": _digests(disclosures)}}
        _try_out(entry)
        return replace(self, entry=entry, disclosures=disclosures)


def event_type_of(submission: Submission) -> EventType:
    """The type of a submission; raises ReservedType or Invalid."""
    if submission.type in RESERVED:
        raise _reserved()
    event_type = CATALOGUE.get(submission.type, submission.schema)
    if event_type is not None and event_type.service_alone:
        raise _reserved()
    if event_type is None:
        raise Invalid(
            "The event's type is not known.",
            [FieldError("/type", "is not a type and schema of /v1/event-types")],
        )
    if event_type.service_alone:
        raise _reserved()
    if submission.stream.kind not in event_type.stream_kinds:
        allowed = " or ".join(event_type.stream_kinds)
        raise Invalid(
            "The event is in the wrong kind of stream.",
            [FieldError("/subject", f"this type is recorded in {allowed} streams")],
        )
    return event_type


def _reserved() -> ReservedType:
    return ReservedType(
        "This type is recorded by the service alone.",
        [FieldError("/type", "is recorded by the service alone")],
    )


def occurred_at(event_type: EventType, time: str) -> str:
    """What the entry holds as `occurred_at`: the instant, or its London date."""
    if event_type.occurred == "instant":
        return time
    return datetime.fromisoformat(time).astimezone(LONDON).date().isoformat()


def draft(credential: Credential, submission: Submission) -> Draft:
    """Check and split a submission; raises Invalid, OutOfScope, Forbidden or ReservedType."""
    event_type = event_type_of(submission)
    check_record(credential, submission, event_type)
    return split(credential, submission, event_type)


def service_draft(
    type_name: str,
    stream: StreamRef,
    hub: str,
    time: str,
    data: Mapping[str, Any],
    event_id: str | None = None,
) -> Draft:
    """An entry that the ledger records of its own accord, in the name of nobody."""
    event_type = CATALOGUE.get(type_name)
    assert event_type is not None
    submission = Submission(
        id=event_id or str(uuid4()),
        source=entries.SERVICE_CODE,
        type=type_name,
        schema=None,
        stream=stream,
        time=time,
        hub=hub,
        organisation=entries.SERVICE_CODE,
        actor=None,
        regime=None,
        expected_version=None,
        data=data,
    )
    return split(None, submission, event_type)


def split(credential: Credential | None, submission: Submission, event_type: EventType) -> Draft:
    """Validate a submission's data and commit to its sealed fields; raises Invalid or TooLarge.
    Without a credential it is the ledger's own."""
    public_id = None if credential is None else credential.public_id
    open_fields, sealed = event_type.validate(submission.data)
    context = {
        "true_source": submission.source,
        "true_organisation": submission.organisation,
        "true_actor": submission.actor,
        "true_submitted_by": public_id,
    }
    added_open, added_sealed = event_type.service_fields(
        submission.actor, {**open_fields, **sealed}, context
    )
    open_fields, sealed = {**open_fields, **added_open}, {**sealed, **added_sealed}
    disclosures = _disclosures(event_type, sealed)
    entry = _entry(public_id, submission, event_type, open_fields)
    entry["data"] = {**open_fields, "_sd": _digests(disclosures)}
    _try_out(entry)
    return Draft(submission, event_type, entry, disclosures)


def _disclosures(event_type: EventType, sealed: Mapping[str, Any]) -> dict[str, list[Disclosure]]:
    groups: dict[str, list[Disclosure]] = {SUBJECT: [], ATTRIBUTION: []}
    named = [(name, sealed[name]) for name in event_type.sealed if name in sealed]
    for disclosure in commit(named):
        attributes = event_type.sealed[disclosure.name] == ATTRIBUTION_CLASS
        groups[ATTRIBUTION if attributes else SUBJECT].append(disclosure)
    return groups


def _digests(disclosures: Mapping[str, list[Disclosure]]) -> list[str]:
    return sorted(disclosure.digest for group in disclosures.values() for disclosure in group)


def _entry(
    public_id: str | None,
    submission: Submission,
    event_type: EventType,
    open_fields: Mapping[str, Any],
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "_sd_alg": entries.SD_ALG,
        "actor": submission.actor,
        "format": entries.FORMAT,
        "hub": submission.hub,
        "id": submission.id,
        "nonce": new_nonce(),
        "occurred_at": occurred_at(event_type, submission.time),
        "organisation": submission.organisation,
        "regime": submission.regime,
        "schema": event_type.schema,
        "source": submission.source,
        "stream": {"kind": submission.stream.kind, "id": submission.stream.id},
        "submitted_by": public_id,
        "type": event_type.type,
    }
    if event_type.recipient:
        category = open_fields["recipient_category"]
        entry |= {
            "actor": None,
            "organisation": category,
            "source": category,
            "submitted_by": None,
        }
    return entry


def _try_out(entry: dict[str, Any]) -> None:
    """Encode and decode as the verifier would, with stand-ins for what the writer stamps."""
    trial = {
        **entry,
        "recorded_at": "2000-01-01T00:00:00.000Z",
        "stream": {**entry["stream"], "version": 1, "previous": None},
    }
    try:
        raw = entries.encode(trial)
    except EntryError as error:
        raise Invalid(f"The event cannot be an entry: {error}.") from error
    if len(raw) > entries.MAX_ENTRY - _STAMP_ROOM:
        raise TooLarge("The event's open fields do not fit an entry of 65,535 bytes.")


def prepare(
    origin: str,
    item: Draft,
    keys: Mapping[tuple[str, str], tuple[str, bytes]],
    expected_version: int | None,
    *,
    expires: ExpiryPlan | None = None,
    expired_through: int | None = None,
) -> PreparedEvent:
    """Seal a draft under its stream's keys. For `expires` and `expired_through` see
    PreparedEvent. Raises ValueError, a fault of the service, when a field is not there to seal."""
    if len(item.entry["data"]["_sd"]) != len(item.event_type.sealed):
        raise ValueError(f"{item.event_type.type}: a field that the service adds was not supplied")
    submission, sealed = item.submission, []
    for key_class, disclosures in item.disclosures.items():
        if disclosures:
            key_id, key = keys[(item.stream, key_class)]
            bound_to = associated_data(
                origin, item.entry["source"], submission.id, item.stream, key_class
            )
            sealed.append((key_class, key_id, seal(key, bound_to, disclosures)))
    return PreparedEvent(
        item.entry,
        submission.source,
        expected_version,
        tuple(sealed),
        # The service's own entries are of the hub of what was read, whoever wrote there first.
        any_hub=item.event_type.recipient or submission.source == entries.SERVICE_CODE,
        erases=item.event_type.type == ERASURE,
        expires=expires,
        expired_through=expired_through,
    )


def needed_keys(item: Draft) -> list[tuple[str, str]]:
    """The (stream, class) keys that a draft's sealed fields go under."""
    return [(item.stream, key_class) for key_class, group in item.disclosures.items() if group]
