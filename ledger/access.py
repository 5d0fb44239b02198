"""Who may record and read what: every rule of access in one table, and nothing else.

Guarantees: pure functions over a credential and the *open* part of an entry, no I/O and no clock.
`GRANTS` is the whole policy; a role that is not granted something there does not have it. A
credential made with `all` is not confined to an organisation, hubs or sources, but it never gains
an act or a kind of stream that its role lacks, with the two exceptions written at `check_record`
and `may_read_entry`.

The same as a table for readers: docs/http.md, "Tokens".
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from ledger.errors import FieldError, Forbidden, OutOfScope
from ledger.submission import Submission


class Role(StrEnum):
    """What the holder of a credential is there to do."""

    SUBMITTER = "submitter"
    COORDINATOR = "coordinator"
    DPO = "dpo"
    RIGHTS_OFFICER = "rights_officer"
    STANDARDS = "standards"
    REGISTRAR = "registrar"
    AUDITOR = "auditor"
    INSPECTOR = "inspector"
    AGGREGATE = "aggregate"
    OPERATOR = "operator"


class Operation(StrEnum):
    """What a route does. A role without it is refused whatever the id asked for, so that the
    refusal says nothing about what exists."""

    RECORD = "record"
    READ_ENTRIES = "read entries"
    OPEN_SEALED = "open sealed fields"
    READ_CASES = "read cases"
    READ_STREAMS = "read whole streams"
    READ_BUNDLES = "read entry bundles"
    CERTIFY = "issue erasure certificates"
    SEE_DUE = "see what is due to expire"
    SEE_FINDINGS = "see findings on the ledger"
    REGISTER_STAFF = "register staff references"
    OPEN_STAFF = "open the staff map"


class Reach(StrEnum):
    """How far a grant to read reaches among the entries of one kind of stream."""

    OWN = "of its own organisation, hubs and sources"
    CONTROLLER = "of its own organisation, in its hubs"
    HUBS = "of its own hubs"
    ANY = "of every hub"


@dataclass(frozen=True, slots=True)
class Credential:
    """Who is calling, as far as the ledger knows: never a person's name.

    `public_id` is what entries hold as `submitted_by`. With `all`, `organisation` is None and
    `hubs` and `sources` are empty. `machine` marks a token that no person reads through.
    `not_after` is the instant from which the credential is no longer good; the token store
    enforces it.
    """

    public_id: str
    role: Role
    all: bool
    organisation: str | None
    hubs: frozenset[str]
    sources: frozenset[str]
    machine: bool
    not_after: str | None


class RecordableType(Protocol):
    """What `check_record` must know of an event type; `ledger.catalogue.EventType` has it."""

    @property
    def requires_role(self) -> frozenset[str] | None:
        """The roles that may record it, or None where any recording role may."""


CODED: Final = "coded"
PERSONAL: Final = "personal"
ATTRIBUTION: Final = "attribution"

_GOVERNANCE: Final = ("agreement", "assessment", "hub", "oversight")
_CASEWORK: Final = ("case", "party", "content")
_WATCHED: Final = ("access", "restricted")
#: Kinds of stream that are about people. An access stream, too, tells who read about whom.
PERSONAL_KINDS: Final = frozenset(_CASEWORK + _WATCHED)
_EVERYTHING: Final = frozenset({CODED, PERSONAL, ATTRIBUTION})


@dataclass(frozen=True, slots=True)
class Grant:
    """What one role may do.

    `records`: kinds of stream it may write. `reads`: kinds of stream whose open entries it may
    read, and how far. `opens`: classes of sealed fields it may open in the entries it may read.
    `cases`: whether it may read the state of a case and its bundle. `bundles`: whether it may
    read whole entry bundles, which hold every kind of stream. `certificates`: the forms in which
    it may issue certificates of erasures. `expires`: whether it may see what is due to expire.
    `findings`: whether it may see findings on the ledger as a whole.
    `registers_staff`: whether it may register staff references of its own organisation.
    `opens_staff`: whether it may ask, as one of two people, who is behind one.
    """

    records: frozenset[str] = frozenset()
    reads: Mapping[str, Reach] = field(default_factory=dict)
    opens: frozenset[str] = frozenset()
    cases: bool = False
    bundles: bool = False
    certificates: frozenset[str] = frozenset()
    expires: bool = False
    findings: bool = False
    registers_staff: bool = False
    opens_staff: bool = False


def _reads(
    casework: Reach | None = None,
    watched: Reach | None = None,
    governance: Reach | None = Reach.ANY,
    **others: Reach,
) -> dict[str, Reach]:
    """Reach by kind of stream. Every role that reads entries at all reads the ledger stream: what
    the log is and which types are registered in it."""
    reads = {"ledger": Reach.ANY, **others}
    for kinds, reach in ((_CASEWORK, casework), (_WATCHED, watched), (_GOVERNANCE, governance)):
        if reach is not None:
            reads.update(dict.fromkeys(kinds, reach))
    return reads


_ALL_KINDS: Final = frozenset(_CASEWORK + _WATCHED + _GOVERNANCE)

#: The whole policy. A submitter never opens sealed fields, and access streams are not for those
#: who are looked at in them.
GRANTS: Final[Mapping[Role, Grant]] = {
    Role.SUBMITTER: Grant(
        records=_ALL_KINDS,
        reads=_reads(casework=Reach.OWN),
        registers_staff=True,
    ),
    Role.COORDINATOR: Grant(
        records=_ALL_KINDS,
        reads=_reads(casework=Reach.HUBS),
        opens=_EVERYTHING,
        cases=True,
        registers_staff=True,
    ),
    Role.DPO: Grant(
        records=_ALL_KINDS,
        reads=_reads(casework=Reach.CONTROLLER, watched=Reach.CONTROLLER),
        opens=_EVERYTHING,
        cases=True,
        certificates=frozenset({"controller", "subject"}),
        expires=True,
        findings=True,
        registers_staff=True,
    ),
    Role.RIGHTS_OFFICER: Grant(
        reads=_reads(governance=None, case=Reach.HUBS, party=Reach.HUBS),
        opens=_EVERYTHING,
        cases=True,
        certificates=frozenset({"subject"}),
    ),
    Role.STANDARDS: Grant(
        reads=_reads(governance=None, access=Reach.HUBS),
        opens=frozenset({ATTRIBUTION}),
        opens_staff=True,
    ),
    Role.REGISTRAR: Grant(
        records=frozenset(_GOVERNANCE),
        reads=_reads(),
        findings=True,
        registers_staff=True,
    ),
    Role.AUDITOR: Grant(
        reads=_reads(casework=Reach.HUBS),
        opens=frozenset({ATTRIBUTION}),
        cases=True,
        bundles=True,
        findings=True,
    ),
    Role.INSPECTOR: Grant(
        reads=_reads(casework=Reach.HUBS, watched=Reach.HUBS),
        opens=_EVERYTHING,
        cases=True,
        bundles=True,
        expires=True,
        findings=True,
        opens_staff=True,
    ),
    Role.AGGREGATE: Grant(),
    Role.OPERATOR: Grant(),
}


def may(credential: Credential, operation: Operation) -> bool:
    """Whether the credential may attempt the operation at all.

    Entry bundles hold the entries of every hub, so a credential confined to some hubs may not read
    them whatever its role. The staff map is opened by people.
    """
    grant = GRANTS[credential.role]
    return {
        Operation.RECORD: bool(grant.records),
        Operation.READ_ENTRIES: bool(grant.reads),
        Operation.OPEN_SEALED: bool(grant.opens),
        Operation.READ_CASES: grant.cases,
        Operation.READ_STREAMS: any(
            grant.reads.get(kind, Reach.OWN) is not Reach.OWN for kind in PERSONAL_KINDS
        ),
        Operation.READ_BUNDLES: grant.bundles and credential.all,
        Operation.CERTIFY: bool(grant.certificates),
        Operation.SEE_DUE: grant.expires,
        Operation.SEE_FINDINGS: grant.findings,
        Operation.REGISTER_STAFF: grant.registers_staff,
        Operation.OPEN_STAFF: grant.opens_staff and not credential.machine,
    }[operation]


def check_operation(credential: Credential, operation: Operation) -> None:
    """Raise Forbidden when the credential may not attempt the operation."""
    if may(credential, operation):
        return
    if operation is Operation.READ_BUNDLES and GRANTS[credential.role].bundles:
        raise Forbidden(
            "Entry bundles hold the entries of every hub: they are for a token made with --all."
        )
    if operation is Operation.OPEN_STAFF and GRANTS[credential.role].opens_staff:
        raise Forbidden("The staff map is opened by people: a machine's token never opens it.")
    raise Forbidden(f"The role {credential.role.value} may not {operation.value}.")


def check_certifies(credential: Credential, form: str) -> None:
    """Raise Forbidden when the credential may not issue a certificate in this form."""
    if form not in GRANTS[credential.role].certificates:
        raise Forbidden(
            f"The role {credential.role.value} may not issue a certificate in this form.",
            [FieldError("?form", "is not a form for this role")],
        )


def check_record(
    credential: Credential, submission: Submission, event_type: RecordableType
) -> None:
    """Raise Forbidden when the role may not record this in this kind of stream, and OutOfScope,
    naming each member that is out, when the credential is not bound to its organisation, hub or
    source.

    A type that requires a role (an erasure requires the data protection officer: a stolen
    submitter token never erases) may also be recorded by a recording role made with `all`.
    """
    kinds = GRANTS[credential.role].records
    if submission.stream.kind not in kinds:
        what = f"in {submission.stream.kind} streams" if kinds else "anything"
        raise Forbidden(
            f"The role {credential.role.value} may not record {what}.",
            [FieldError("/subject", "the token's role may not record here")],
        )
    required = event_type.requires_role
    if required is not None and credential.role not in required and not credential.all:
        roles = " or ".join(sorted(required))
        raise Forbidden(
            f"This type is recorded by the role {roles} alone.",
            [FieldError("/type", f"needs the role {roles}")],
        )
    if credential.all:
        return
    out = [
        FieldError(f"/{name}", f"the token is not bound to this {name}")
        for name, bound in (
            ("organisation", submission.organisation == credential.organisation),
            ("hub", submission.hub in credential.hubs),
            ("source", submission.source in credential.sources),
        )
        if not bound
    ]
    if out:
        raise OutOfScope("The token is not bound to what the event names.", out)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a stream is: the hub and the organisation of its first entry."""

    hub: str
    organisation: str


def owner_in(entry: Mapping[str, Any]) -> Owner:
    """The owner as one entry has it, which of a stream's first entry is the owner."""
    return Owner(entry["hub"], entry["organisation"])


def may_read_entry(
    credential: Credential, entry: Mapping[str, Any], owner: Owner | None = None
) -> bool:
    """Whether the credential may read this entry's open part through `/v1`.

    `owner` is whose the stream is, where the caller knows it; without it the entry's own hub and
    organisation decide. A recording credential made with `all` also reads back what it submitted
    itself, in whatever kind of stream.
    """
    grant = GRANTS[credential.role]
    reach = grant.reads.get(entry["stream"]["kind"])
    if reach is None:
        return bool(grant.records) and _submitted_by_all(credential, entry)
    if credential.all or reach is Reach.ANY:
        return True
    owner = owner or owner_in(entry)
    if owner.hub not in credential.hubs:
        return False
    match reach:
        case Reach.HUBS:
            return True
        case Reach.CONTROLLER:
            return owner.organisation == credential.organisation
        case _:
            return (
                entry["organisation"] == credential.organisation
                and entry["source"] in credential.sources
            )


def check_erases(credential: Credential, owner: Owner) -> None:
    """Raise Forbidden when the stream to be erased is another controller's."""
    if not credential.all and owner.organisation != credential.organisation:
        raise Forbidden(
            "A stream is erased by the organisation whose it is.",
            [FieldError("/subject", "is a stream of another organisation")],
        )


def check_scope(credential: Credential, hub: str, organisation: str) -> None:
    """Raise OutOfScope when the credential is not bound to this hub and organisation."""
    own = hub in credential.hubs and organisation == credential.organisation
    if not own and not credential.all:
        raise OutOfScope("The token is not bound to this hub and organisation.")


def _submitted_by_all(credential: Credential, entry: Mapping[str, Any]) -> bool:
    return credential.all and entry["submitted_by"] == credential.public_id


def may_read_kind(credential: Credential, kind: str) -> bool:
    """Whether the credential's role reads streams of this kind at all."""
    return kind in GRANTS[credential.role].reads


def sealed_classes(
    credential: Credential, entry: Mapping[str, Any], owner: Owner | None = None
) -> Collection[str]:
    """Classes of sealed fields that the credential may open in this entry; empty means it may open
    none, and is answered as if the entry were unknown."""
    grant = GRANTS[credential.role]
    if entry["stream"]["kind"] not in grant.reads:
        return frozenset()
    return grant.opens if may_read_entry(credential, entry, owner) else frozenset()


def may_read_stream(credential: Credential, kind: str, owner: Owner) -> bool:
    """Whether the credential may read the whole of a stream of this kind and owner. Who reads the
    entries of their own systems alone reads no stream as a whole."""
    reach = GRANTS[credential.role].reads.get(kind, Reach.OWN)
    if reach is Reach.OWN:
        return False
    if credential.all or reach is Reach.ANY:
        return True
    if owner.hub not in credential.hubs:
        return False
    return reach is Reach.HUBS or owner.organisation == credential.organisation


def controller_of(credential: Credential) -> str | None:
    """The organisation to whose cases the credential is confined, if it is."""
    confined = GRANTS[credential.role].reads.get("case") is Reach.CONTROLLER
    return credential.organisation if confined and not credential.all else None


def may_open_staff(credential: Credential, organisation: str) -> bool:
    """Whether the credential may ask who is behind a staff reference of this organisation."""
    own = credential.all or organisation == credential.organisation
    return may(credential, Operation.OPEN_STAFF) and own


def needs_actor(credential: Credential) -> bool:
    """Whether the person who reads one case through this credential must be named (header
    `Actor`)."""
    return not credential.machine
