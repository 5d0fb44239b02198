"""Assurance: what must be in force before anybody's data is touched, the authority a programme runs
under and the assessments and policies that cover it."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.codes import DataCategory, OrganisationCategory, Purpose
from ledger.catalogue.errors import field_error
from ledger.catalogue.fields import (
    Attribution,
    Count,
    Date,
    Flag,
    Line,
    Open,
    Organisation,
    Several,
    Sha256,
    Uuid,
)
from ledger.catalogue.model import Declaration, EventData, Example, ServiceFields, is_another
from ledger.errors import FieldError

Programme = Literal["concern-hub", "social-media-hub"]
#: What an assessment or agreement covers: a programme, or what this ledger itself does with data.
Scope = Literal["concern-hub", "social-media-hub", "ledger"]
AuthorityKind = Literal["decision", "grant", "decision-and-grant", "delegation", "other"]
#: Series of published decisions of the Mayor's Office for Policing and Crime.
DecisionSeries = Literal["pcd", "dmpcd"]
#: The power money or authority is given under; where there is none to name, that can be said.
Power = Literal[
    "domestic-violence-crime-and-victims-act-2004-s56",
    "police-reform-and-social-responsibility-act-2011-s9",
    "police-act-1996-s92",
    "police-act-1996-s93",
    "local-government-act-1972-s111",
    "localism-act-2011-s1",
    "other-statute",
    "none-stated",
]
AssessmentKind = Literal[
    "data-protection-impact-assessment",
    "equality-impact-assessment",
    "appropriate-policy-document",
]

EXAMPLE_DPIA = "f9524fef-c839-4aad-9fac-0dbab8134e77"


def check_digest(published: bool, document_sha256: str | None) -> Iterable[FieldError]:
    """The open digest of a document that can be guessed would confirm the guess."""
    if document_sha256 is not None and not published:
        yield field_error(
            "document_sha256", "is for published documents: send it as document_digest"
        )


class AuthorityRegistered(EventData):
    """A decision or a grant that a programme runs under is put on the register."""

    about: ClassVar[Declaration] = Declaration(
        type="authority.registered",
        family="governance",
        description=(
            "The authority a programme runs under was registered: the decision or grant, the "
            "power it was given under, and the days it runs from and to. The id of its stream is "
            "what `authority_ref` names."
        ),
        duty=(
            "Decision PCD 867 and the terms of the grant; MOPAC Scheme of Consent and Delegation "
            "para 4.8; Domestic Violence, Crime and Victims Act 2004 s.56"
        ),
        stream_kinds=("agreement",),
        example=Example(
            id="019b7e26-5500-76d1-985f-585b2fcee47f",
            subject="agreement/76b79ac6-3548-4247-b2b9-6d6fd08c3573",
            time="2026-01-02T10:00:00Z",
            data={
                "authority_kind": "decision-and-grant",
                "programme": "concern-hub",
                "decision_series": "pcd",
                "decision_number": 9999,
                "power": "domestic-violence-crime-and-victims-act-2004-s56",
                "funder_category": "government-department",
                "amount_pence": 125_000_00,
                "effective_from": "2026-01-05",
                "effective_until": "2027-03-31",
                "published": True,
                "document_sha256": "e1" * 32,
                "funder": "fictional-department",
                "decided_by": "fictional-policing-office",
                "document_reference": "Decision 9999 (fictional)",
            },
        ),
    )

    authority_kind: Open[AuthorityKind] = Field(description="What kind of authority it is.")
    programme: Open[Programme] = Field(description="Which programme may run under it.")
    decision_series: Open[DecisionSeries | None] = Field(
        default=None, description="Series of a published decision; null where it is in none."
    )
    decision_number: Open[Count | None] = Field(
        default=None, description="Number in that series, 867 for PCD 867."
    )
    follows_ref: Open[Uuid | None] = Field(
        default=None, description="Id of the stream of the authority that it follows."
    )
    power: Open[Power] = Field(description="Power it was given under.")
    funder_category: Open[OrganisationCategory | None] = Field(
        default=None, description="Kind of organisation that funds it; null without money."
    )
    amount_pence: Open[Count | None] = Field(
        default=None, description="Amount granted, in pence; null without money."
    )
    effective_from: Open[Date] = Field(description="First day it covers.")
    effective_until: Open[Date | None] = Field(
        default=None, description="Last day it covers; null where it sets none."
    )
    published: Open[Flag] = Field(description="Whether the document is published.")
    document_sha256: Open[Sha256 | None] = Field(
        default=None,
        description=(
            "SHA-256 of the document, for a published one only; "
            "an unpublished document's goes to document_digest."
        ),
    )
    funder: Attribution[Organisation | None] = Field(
        default=None, description="The organisation that funds it."
    )
    decided_by: Attribution[Organisation | None] = Field(
        default=None, description="The organisation that decided."
    )
    document_reference: Attribution[Line | None] = Field(
        default=None, description="The document's own reference and version."
    )
    document_digest: Attribution[Sha256 | None] = Field(
        default=None, description="SHA-256 of a document that is not published."
    )

    def cross_check(self) -> Iterable[FieldError]:
        """A digest that confirms nothing, and a number that is one of a series."""
        yield from check_digest(self.published, self.document_sha256)
        if (self.decision_series is None) is not (self.decision_number is None):
            missing = "decision_series" if self.decision_series is None else "decision_number"
            yield field_error(missing, "is required beside the other part of the reference")


class AssessmentApproved(EventData):
    """An assessment or policy document is approved: before the processing it is about."""

    class Added(ServiceFields):
        """Filled in by the service."""

        approver_is_not_requester: Open[Flag | None] = Field(
            description=(
                "Whether the approver is another person than the actor who recorded this; "
                "null when no approver was given."
            )
        )

    about: ClassVar[Declaration] = Declaration(
        type="assessment.approved",
        family="governance",
        description=(
            "A data protection or equality impact assessment, or an appropriate policy document, "
            "was approved: its version, what it covers, and when it must be reviewed. The id of "
            "its stream is what `dpia_ref` names."
        ),
        duty=(
            "DPA 2018 ss.64 and 65 and UK GDPR Arts 35 and 36 (assessment before processing); "
            "DPA 2018 ss.35 and 42 and Schedule 1 Part 4 (policy document); Equality Act 2010 "
            "s.149"
        ),
        stream_kinds=("assessment",),
        example=Example(
            id="019b834c-b100-7b58-a881-f1f62efed084",
            subject=f"assessment/{EXAMPLE_DPIA}",
            time="2026-01-03T10:00:00Z",
            data={
                "assessment_kind": "data-protection-impact-assessment",
                "document_version": 2,
                "scope": ["concern-hub"],
                "every_hub": False,
                "purposes": ["support", "safeguarding"],
                "data_categories": ["identity", "contact", "risk-assessment", "support-plan"],
                "recipient_categories": ["school", "health", "voluntary-sector"],
                "dpo_consulted": True,
                "high_risk_remains": False,
                "published": False,
                "effective_from": "2026-01-05",
                "review_due": "2027-01-05",
                "approver": "c1593a02-64d1-4ad8-bc12-e1df1ff90204",
                "document_reference": "DPIA 2026/01 version 2 (fictional)",
                "document_digest": "9d" * 32,
            },
        ),
    )

    assessment_kind: Open[AssessmentKind] = Field(description="What kind of document it is.")
    document_version: Open[Count] = Field(description="Version of the document.")
    scope: Open[Annotated[list[Scope], Several(1, 3)]] = Field(
        description="Programmes it covers; `ledger` is this ledger's own processing."
    )
    every_hub: Open[Flag] = Field(
        description="Whether it covers every hub of its scope; else the hub that recorded it."
    )
    purposes: Open[Annotated[list[Purpose], Several(0, 4)]] = Field(
        description="Purposes it covers; empty where it sets none."
    )
    data_categories: Open[Annotated[list[DataCategory], Several(0, 15)]] = Field(
        description="Categories of data it covers; empty where it sets none."
    )
    recipient_categories: Open[Annotated[list[OrganisationCategory], Several(0, 17)]] = Field(
        description="Kinds of recipient it covers; empty where it sets none."
    )
    dpo_consulted: Open[Flag] = Field(
        description="Whether the data protection officer was consulted."
    )
    high_risk_remains: Open[Flag | None] = Field(
        default=None,
        description=(
            "Whether a high risk remains, so that the Commissioner must be consulted first "
            "(s.65); null where the document does not assess it."
        ),
    )
    negative_impact_found: Open[Flag | None] = Field(
        default=None,
        description=(
            "Whether a negative impact on people with protected characteristics was found; null "
            "where the document does not assess it."
        ),
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

    @classmethod
    def derive(cls, actor: str | None, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The requester is the actor of the envelope."""
        return {"approver_is_not_requester": is_another(data["approver"], actor)}
