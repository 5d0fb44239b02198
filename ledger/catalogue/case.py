"""The case of one person in one hub: identified, supported, closed."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.codes import LegalBasis, Purpose, SubjectCategory
from ledger.catalogue.fields import (
    Address,
    Coded,
    Count,
    Date,
    Flag,
    IntelligenceGrade,
    Line,
    Narrative,
    Open,
    Organisation,
    Personal,
    Several,
    Uuid,
)
from ledger.catalogue.model import Declaration, EventData, Example

SourceType = Literal[
    "police-intelligence",
    "school",
    "emergency-department",
    "social-media",
    "self",
    "family",
    "council",
    "youth-justice",
    "childrens-services",
    "health",
    "housing",
    "voluntary-sector",
    "community",
    "other",
]
AgeBand = Literal[
    "under-10", "10-12", "13-15", "16-17", "18-20", "21-24", "25-and-over", "not-known"
]
#: Schedule 8 to the Data Protection Act 2018, in its order.
Schedule8 = Literal[
    "statutory-purposes",
    "administration-of-justice",
    "vital-interests",
    "safeguarding",
    "already-public",
    "legal-claims",
    "judicial-acts",
    "preventing-fraud",
    "archiving",
]
#: The police self-defined ethnicity codes: 16+1, and those of the 2011 and 2021 censuses.
Ethnicity = Literal[
    "w1", "w2", "w3", "w4", "w9",
    "m1", "m2", "m3", "m9",
    "a1", "a2", "a3", "a4", "a9",
    "b1", "b2", "b9",
    "o1", "o2", "o9",
    "ns",
]  # fmt: skip
EXAMPLE_CASE = "eeee7355-6f02-4483-9508-e050abda62a8"
#: The case that the example of case.closed opens, and the example of erasure.executed erases.
EXAMPLE_CLOSED_CASE = "749fc882-0e29-480f-b9f1-684293d544be"


class SubjectIdentified(EventData):
    """A person is identified as being at risk: collection, in the words of section 62."""

    about: ClassVar[Declaration] = Declaration(
        type="subject.identified",
        family="case",
        description=(
            "A person was identified by a hub and a case was opened: why, under which criteria "
            "and legal basis, and when it must be looked at again."
        ),
        duty=(
            "DPA 2018 ss.35 to 39, 61 and 62(1)(a) (collection); UK GDPR Arts 5, 6 and 30; "
            "Children Act 2004 s.11"
        ),
        stream_kinds=("case",),
        example=Example(
            id="019bb1c1-6440-7e1e-bc4d-ef71f41fcb28",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-01-12T10:30:00Z",
            data={
                "purpose": "support",
                "criteria_version": 3,
                "legal_basis": "public-task",
                "review_period_months": 3,
                "review_due": "2026-04-12",
                "automation_level": "none",
                "dpia_ref": "f9524fef-c839-4aad-9fac-0dbab8134e77",
                "source_type": "school",
                "referral_source_organisation": "fictional-academy",
                "subject_category": ["at-risk"],
                "content_nature": "assessment",
                "age_band": "13-15",
                "sensitive_processing": False,
                "risk_band": "medium",
                "identity_token": "SYNTHETIC-0001",
                "name": "Example Person One",
                "date_of_birth": "2011-02-03",
                "sex": "not-stated",
                "ethnicity": "ns",
                "address": "1 Example Street, Fictional Town",
                "reasons": "Fictional: the school is worried about absences since November.",
            },
        ),
    )

    purpose: Open[Purpose] = Field(description="Why the person was identified.")
    criteria_version: Open[Count] = Field(description="Version of the criteria applied.")
    legal_basis: Open[LegalBasis] = Field(description="Legal basis relied on.")
    review_period_months: Open[Count] = Field(
        description="Months between reviews under the retention rule; the rule is not named."
    )
    review_due: Open[Date | None] = Field(
        default=None, description="Day the first review is due by; null where none was set."
    )
    automation_level: Open[Literal["none", "assisted", "profiled", "solely-automated"]] = Field(
        description="How far the identification was automated."
    )
    dpia_ref: Open[Uuid | None] = Field(
        default=None, description="Id of the data protection impact assessment relied on."
    )
    authority_ref: Open[Uuid | None] = Field(
        default=None, description="Id of the decision or grant the programme runs under."
    )
    source_type: Coded[SourceType] = Field(description="Kind of source the referral came from.")
    referral_source_organisation: Coded[Organisation | None] = Field(
        default=None, description="Organisation that made the referral."
    )
    subject_category: Coded[Annotated[list[SubjectCategory], Several(1, 7)]] = Field(
        description="What the person is, of the categories of s.38(3); several may hold."
    )
    content_nature: Coded[Literal["fact", "assessment", "mixed"]] = Field(
        description="Whether what is recorded is fact, personal assessment, or both (s.38(2))."
    )
    age_band: Coded[AgeBand] = Field(description="Age band on the day.")
    sensitive_processing: Coded[Flag] = Field(
        description="Whether sensitive processing (s.35(8)) or special category data is involved."
    )
    sch8_condition: Coded[Schedule8 | None] = Field(
        default=None, description="Condition of Schedule 8 met by sensitive processing."
    )
    risk_band: Coded[
        Literal["zero", "low", "medium", "high", "very-high", "not-assessed"] | None
    ] = Field(default=None, description="Risk as assessed.")
    identity_token: Personal[Line | None] = Field(
        default=None, description="Reference to the person in the source system."
    )
    name: Personal[Line | None] = Field(default=None, description="Name of the person.")
    date_of_birth: Personal[Date | None] = Field(default=None, description="Date of birth.")
    sex: Personal[Literal["female", "male", "other", "not-stated"] | None] = Field(
        default=None, description="Sex as recorded by the source."
    )
    ethnicity: Personal[Ethnicity | None] = Field(
        default=None, description="Self-defined ethnicity, police 16+1 or 18+1 code."
    )
    address: Personal[Address | None] = Field(default=None, description="Address.")
    reasons: Personal[Narrative | None] = Field(
        default=None, description="Why this person; others appear as [P1], [P2]."
    )
    intelligence_grade: Personal[IntelligenceGrade | None] = Field(
        default=None, description="3x5x2 grade of the intelligence relied on."
    )


class SupportOffered(EventData):
    """Support is offered: what the hub is for."""

    about: ClassVar[Declaration] = Declaration(
        type="support.offered",
        family="case",
        description="The person was offered support; what and by whom is sealed.",
        duty="Mayor's answer of 22 July 2019 (support and pathways are provided)",
        stream_kinds=("case",),
        example=Example(
            id="019bfee5-5100-7839-b407-84ef235f461f",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-01-27T10:00:00Z",
            data={
                "pathway": "mentoring",
                "provider": "fictional-youth-trust",
                "plan": "Fictional: one meeting a week with a mentor until the summer.",
            },
        ),
    )

    pathway: Coded[
        Literal[
            "mentoring",
            "youth-work",
            "education",
            "training-or-employment",
            "mental-health",
            "substance-misuse",
            "speech-and-language",
            "family-support",
            "housing",
            "victim-support",
            "exit-from-exploitation",
            "other",
        ]
    ] = Field(description="Kind of support.")
    provider: Coded[Organisation | None] = Field(
        default=None, description="Organisation that would provide it."
    )
    plan: Personal[Narrative | None] = Field(default=None, description="The plan offered.")


class CaseClosed(EventData):
    """The case is closed, and the clock of its erasure starts."""

    about: ClassVar[Declaration] = Declaration(
        type="case.closed",
        family="case",
        description="The case was closed, and the day its data is due for erasure was set.",
        duty="DPA 2018 s.39 and UK GDPR Art 5(1)(e) (not kept longer than necessary)",
        stream_kinds=("case",),
        example=Example(
            id="019d43c3-d200-743c-b4ad-b06e5e97f5f8",
            subject=f"case/{EXAMPLE_CLOSED_CASE}",
            time="2026-03-31T12:00:00Z",
            data={
                "review_period_months": 1,
                "erase_due": "2026-05-31",
                "reason": "identified-in-error",
            },
        ),
    )

    review_period_months: Open[Count] = Field(
        description="Months between reviews under the retention rule; the rule is not named."
    )
    erase_due: Open[Date | None] = Field(
        default=None, description="Day the data is due for erasure; null where none was set."
    )
    reason: Coded[
        Literal[
            "support-completed",
            "declined",
            "no-response",
            "not-accepted",
            "risk-reduced",
            "moved-away",
            "transferred",
            "identified-in-error",
            "deceased",
            "other",
        ]
    ] = Field(description="Why it was closed.")
