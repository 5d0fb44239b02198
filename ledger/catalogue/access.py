"""Access: who looked at a case, and for what. Logs in the sense of section 62, and so used for
nothing but lawfulness, self-monitoring, security and criminal proceedings."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CASE
from ledger.catalogue.fields import Coded, FieldName, Narrative, Open, Personal, Several
from ledger.catalogue.model import Declaration, EventData, Example
from ledger.catalogue.sharing import CountBand

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
            id="019c22ad-a010-7d8a-956e-ae47d20b52cf",
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
