"""Governance: which hubs process personal data, and what was agreed between whom."""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.assurance import EXAMPLE_DPIA, Programme, Scope, check_digest
from ledger.catalogue.codes import DataCategory, OrganisationCategory, Purpose
from ledger.catalogue.fields import (
    Attribution,
    Date,
    Flag,
    Line,
    Open,
    Organisation,
    Several,
    Sha256,
    Uuid,
)
from ledger.catalogue.model import Declaration, EventData, Example
from ledger.errors import FieldError

AgreementKind = Literal[
    "information-sharing-agreement",
    "joint-controller-arrangement",
    "processor-contract",
    "memorandum-of-understanding",
]

_HUB = "hub/0f9eacd3-27aa-44a6-ac94-48a7dd75ef1b"
EXAMPLE_AGREEMENT = "a4c9027d-2f6c-42f9-b192-e0d931146644"


class HubActivated(EventData):
    """A hub starts to process personal data."""

    about: ClassVar[Declaration] = Declaration(
        type="hub.activated",
        family="governance",
        description=(
            "A hub went live: from this day it may process personal data, and the assessments "
            "and arrangements it needs must have been in force."
        ),
        duty=(
            "DPA 2018 s.64 and UK GDPR Art 35 (assessment before processing); s.58 and Art 26 "
            "(joint controllers); s.44(1) (the public is told)"
        ),
        stream_kinds=("hub",),
        example=Example(
            id="019b8d62-7a80-70b7-930f-bd1602dd2125",
            subject=_HUB,
            time="2026-01-05T09:00:00Z",
            data={
                "programme": "concern-hub",
                "controller_categories": ["police", "council"],
                "partner_categories": ["school", "health", "voluntary-sector"],
                "effective_from": "2026-01-05",
                "dpia_ref": EXAMPLE_DPIA,
                "published": True,
                "controllers": ["met-police", "lewisham-council"],
                "partners": ["fictional-youth-trust"],
            },
        ),
    )

    programme: Open[Programme] = Field(description="Which programme the hub belongs to.")
    controller_categories: Open[Annotated[list[OrganisationCategory], Several(1, 17)]] = Field(
        description="Kinds of organisation that decide why and how data is processed."
    )
    partner_categories: Open[Annotated[list[OrganisationCategory], Several(0, 17)]] = Field(
        description="Kinds of organisation that take part without deciding; may be empty."
    )
    effective_from: Open[Date] = Field(description="First day of processing.")
    dpia_ref: Open[Uuid | None] = Field(
        default=None, description="Id of the data protection impact assessment relied on."
    )
    published: Open[Flag] = Field(description="Whether the public has been told of the hub.")
    controllers: Attribution[Annotated[list[Organisation], Several()]] = Field(
        description="The controllers, by organisation code."
    )
    partners: Attribution[Annotated[list[Organisation], Several()]] = Field(
        description="The partners, by organisation code; may be empty."
    )


class AgreementRegistered(EventData):
    """An arrangement between organisations is put on the register."""

    about: ClassVar[Declaration] = Declaration(
        type="agreement.registered",
        family="governance",
        description=(
            "An agreement about personal data was registered, with its kind, the purposes and "
            "data it covers, and the days it runs from and must be reviewed by."
        ),
        duty=(
            "DPA 2018 ss.58, 59 and UK GDPR Arts 26, 28 (arrangements and contracts); the ICO's "
            "data sharing code; ICO enforcement notice of 13 November 2018"
        ),
        stream_kinds=("agreement",),
        example=Example(
            id="019b9288-d680-7f50-86a9-452301a8c3f5",
            subject=f"agreement/{EXAMPLE_AGREEMENT}",
            time="2026-01-06T09:00:00Z",
            data={
                "agreement_kind": "information-sharing-agreement",
                "party_categories": ["police", "council", "voluntary-sector"],
                "purposes": ["support", "safeguarding"],
                "data_categories": ["identity", "contact", "support-plan"],
                "special_category_permitted": False,
                "redaction_required": True,
                "dpo_consulted": True,
                "published": False,
                "effective_from": "2026-01-06",
                "review_due": "2027-01-06",
                "parties": ["met-police", "lewisham-council", "fictional-youth-trust"],
                "approver": "573231ef-8c00-41d8-9c08-3c345372f53f",
                "document_reference": "ISA 2026/01 (fictional)",
                "document_digest": "5b" * 32,
            },
        ),
    )

    agreement_kind: Open[AgreementKind] = Field(description="What kind of arrangement it is.")
    scope: Open[Annotated[list[Scope], Several(1, 3)] | None] = Field(
        default=None,
        description=(
            "Programmes it covers, null where it names none; `ledger` is this ledger's own "
            "processing."
        ),
    )
    party_categories: Open[Annotated[list[OrganisationCategory], Several(1, 17)]] = Field(
        description="Kinds of organisation that are party to it."
    )
    purposes: Open[Annotated[list[Purpose], Several(1, 4)]] = Field(
        description="Purposes it covers."
    )
    data_categories: Open[Annotated[list[DataCategory], Several(0, 15)]] = Field(
        description="Categories of data it covers; empty where it sets none."
    )
    special_category_permitted: Open[Flag] = Field(
        description="Whether it covers special category data."
    )
    redaction_required: Open[Flag] = Field(description="Whether data is redacted before sharing.")
    dpo_consulted: Open[Flag] = Field(
        description="Whether the data protection officer was consulted."
    )
    published: Open[Flag] = Field(description="Whether the document is published.")
    document_sha256: Open[Sha256 | None] = Field(
        default=None,
        description=(
            "SHA-256 of the document, for a published one only; "
            "an unpublished document's goes to document_digest."
        ),
    )
    effective_from: Open[Date] = Field(description="First day it is in force.")
    review_due: Open[Date | None] = Field(
        default=None, description="Day its review is due by; null where it sets none."
    )
    parties: Attribution[Annotated[list[Organisation], Several(1)]] = Field(
        description="The parties, by organisation code."
    )
    approver: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of who approved it."
    )
    document_reference: Attribution[Line | None] = Field(
        default=None, description="The document's own reference and version."
    )
    document_digest: Attribution[Sha256 | None] = Field(
        default=None, description="SHA-256 of a document that is not published."
    )

    def cross_check(self) -> Iterable[FieldError]:
        """The digest of a document that is not published stays sealed."""
        return check_digest(self.published, self.document_sha256)
