"""Access: who looked at a case, or at the log, and for what. Logs in the sense of section 62, and
so used for nothing but lawfulness, self-monitoring, security and criminal proceedings."""

import dataclasses
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CASE
from ledger.catalogue.fields import (
    Attribution,
    Coded,
    Count,
    Date,
    FieldName,
    Flag,
    Narrative,
    Open,
    Organisation,
    Personal,
    Several,
    Sha256,
    Uuid,
)
from ledger.catalogue.model import Declaration, EventData, Example
from ledger.catalogue.sharing import CountBand

EXAMPLE_READING = "019c22ad-a010-7d8a-956e-ae47d20b52cf"

#: More names than the types of any one kind of stream seal (a test of the catalogue holds it so).
MAX_FIELDS_OPENED = 160

CasePurpose = Literal[
    "support",
    "safeguarding",
    "screening",
    "review",
    "disclosure-decision",
    "rights-request",
    "rectification",
    "complaint",
    "erasure",
    "legal-claim",
    "breach",
    "inspection",
]
"""For what sealed data of a case may be opened."""

LogPurpose = Literal["s62-4-a", "s62-4-b", "s62-4-c", "s62-4-d"]
"""For what the log may be read: DPA 2018 s.62(4), verifying lawfulness, self-monitoring and
discipline, integrity and security, criminal proceedings."""

BulkReason = Literal[
    "rights-request",
    "inspection",
    "court-order",
    "legal-claim",
    "case-transfer",
    "redaction",
    "breach",
]
"""Why the sealed fields of many streams are opened within a day."""


class RecordConsulted(EventData):
    """A person read a case; the stream is `access/U` for `case/U`."""

    about: ClassVar[Declaration] = Declaration(
        type="record.consulted",
        family="access",
        description=(
            "Somebody read a case, by whatever route. It is kept in a stream of its own, which "
            "those who are looked at and those who look cannot read."
        ),
        duty="DPA 2018 s.62(1)(c) and (2) (consultation logs)",
        mark="log",
        stream_kinds=("access",),
        occurred="instant",
        example=Example(
            id=EXAMPLE_READING,
            subject=f"access/{EXAMPLE_CASE}",
            time="2026-02-10T13:00:00Z",
            data={
                "case_purpose": "review",
                "result_count_band": "1",
                "access_channel": "source-system",
                "fields_opened": ["reasons"],
                "query_text": "Fictional: opened from the list of reviews due.",
            },
        ),
    )

    case_purpose: Open[CasePurpose | None] = Field(
        default=None,
        description="What it was read for; the law no longer requires it, our policy may.",
    )
    result_count_band: Open[CountBand] = Field(
        description="How many records it returned: 1, 2 to 19, or 20 and more."
    )
    access_channel: Coded[
        Literal["source-system", "api", "sealed-fields", "case-bundle", "report", "portal"]
    ] = Field(description="By which route it was read.")
    fields_opened: Coded[Annotated[list[FieldName], Several()]] = Field(
        description="Names of the sealed fields that were opened; may be empty."
    )
    query_text: Personal[Narrative | None] = Field(
        default=None, description="What was searched for."
    )


class RecordConsultedInBulk(RecordConsulted):
    """`record.consulted` at schema 2: with the reason for opening those of many people."""

    about: ClassVar[Declaration] = dataclasses.replace(RecordConsulted.about, schema=2)

    bulk_reason: Coded[BulkReason | None] = Field(
        default=None,
        description="Why the reader opens the sealed fields of 20 or more streams within a day.",
    )


class RecordConsultedWhole(RecordConsultedInBulk):
    """`record.consulted` at schema 3: a bundle may open every sealed field that there is."""

    about: ClassVar[Declaration] = dataclasses.replace(RecordConsulted.about, schema=3)

    fields_opened: Coded[Annotated[list[FieldName], Several(0, MAX_FIELDS_OPENED)]] = Field(
        description="Names of the sealed fields that were opened; may be empty."
    )


class LedgerQueried(EventData):
    """Entries of many streams were read; the stream is `access/U` for the ledger stream's id U."""

    about: ClassVar[Declaration] = Declaration(
        type="ledger.queried",
        family="access",
        description=(
            "A credential began to read entries of many streams: the feed, single entries as a "
            "machine, or entry bundles. It stands for what that credential reads in the hour that "
            "follows, by the same route and for the same purpose, from a position on."
        ),
        duty="DPA 2018 s.62(1)(c) and (4) (consultation logs, and the uses they may have)",
        mark="log",
        stream_kinds=("access",),
        occurred="instant",
        example=Example(
            id="019c22ad-a010-7d8a-956e-ae47d20b52d0",
            subject=f"access/{EXAMPLE_CASE}",
            time="2026-02-10T13:00:00Z",
            data={"route": "feed", "log_purpose": "s62-4-a", "from_position": 0},
        ),
    )

    route: Open[Literal["feed", "entry", "entry-bundles"]] = Field(
        description="By which route entries are read."
    )
    log_purpose: Open[LogPurpose | None] = Field(
        default=None,
        description="For which use of section 62(4) the log is read; null where none was named.",
    )
    from_position: Open[Count] = Field(description="The first position that may be read.")


class ExportProduced(EventData):
    """A copy of a stream left the ledger; the stream is `access/U` for `kind/U`."""

    about: ClassVar[Declaration] = Declaration(
        type="export.produced",
        family="access",
        description=(
            "A pack of a stream was made for a recipient, who is to destroy it by a day. One that "
            "holds sealed fields is a copy of them that an erasure must reach."
        ),
        duty="DPA 2018 ss.39 and 62(1)(d); UK GDPR Art 5(1)(e) and (f)",
        mark="log",
        stream_kinds=("access",),
        occurred="instant",
        example=Example(
            id="019c22ad-a010-7d8a-956e-ae47d20b52d1",
            subject=f"access/{EXAMPLE_CASE}",
            time="2026-02-10T13:05:00Z",
            data={
                "audience": "subject",
                "case_purpose": "rights-request",
                "holds_sealed": True,
                "expires_on": "2026-05-11",
                "recipient": "person",
                "members_digest": "5f" * 32,
            },
        ),
    )

    audience: Open[Literal["auditor", "inspector", "subject"]] = Field(
        description="Which kind of reader it was made for."
    )
    case_purpose: Open[CasePurpose] = Field(description="What it was made for.")
    holds_sealed: Open[Flag] = Field(description="Whether it holds sealed fields.")
    expires_on: Open[Date] = Field(description="Day by which it is to be destroyed.")
    recipient: Attribution[Organisation] = Field(
        description="The organisation it was made for; `person` for the person concerned."
    )
    members_digest: Coded[Sha256] = Field(
        description="SHA-256 over the names and contents of its members, as its cover has it."
    )


class ExportProducedOfReading(ExportProduced):
    """`export.produced` at schema 2: with the reading that it came of."""

    about: ClassVar[Declaration] = dataclasses.replace(
        ExportProduced.about,
        schema=2,
        example=dataclasses.replace(
            ExportProduced.about.example,
            data={**ExportProduced.about.example.data, "consulted_event": EXAMPLE_READING},
        ),
    )

    consulted_event: Open[Uuid] = Field(
        description="Id of the record.consulted of this same stream that records the reading."
    )
