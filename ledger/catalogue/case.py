"""The case of one person in one hub: identified, screened, reviewed, closed."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.codes import LegalBasis, Purpose, SubjectCategory
from ledger.catalogue.fields import (
    Address,
    Attribution,
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
AutomationLevel = Literal["none", "assisted", "profiled", "solely-automated"]
RiskBand = Literal["zero", "low", "medium", "high", "very-high", "not-assessed"]
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
#: The case that the example of case.closed opens, and those of an erasure order and erase.
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
    automation_level: Open[AutomationLevel] = Field(
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
    risk_band: Coded[RiskBand | None] = Field(default=None, description="Risk as assessed.")
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


class ScreeningDecided(EventData):
    """The hub decides whether to take the person on."""

    about: ClassVar[Declaration] = Declaration(
        type="screening.decided",
        family="case",
        description=(
            "It was decided whether the hub takes the person on: under which criteria, by whom in "
            "kind, and how far a person decided it. The reasons and the panel are sealed."
        ),
        duty=(
            "DPA 2018 ss.36, 37 and 50A to 50D (automated decisions); UK GDPR Arts 5 and 22A to "
            "22D; ICO enforcement notice of 13 November 2018 (one model, applied alike)"
        ),
        stream_kinds=("case",),
        example=Example(
            id="019bc71b-1700-7f7b-a1b1-45772a901745",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-01-16T14:00:00Z",
            data={
                "outcome": "accepted",
                "criteria_version": 3,
                "decision_role": "panel",
                "automation_level": "none",
                "human_involvement": "decided-by-a-person",
                "reasons": "Fictional: the panel agreed that a mentor may help.",
                "risk_assessment": "Fictional: no immediate risk; seen again in three months.",
                "panel_id": "7439fe87-5c45-4f48-a357-b7ff276dcfee",
            },
        ),
    )

    outcome: Open[Literal["accepted", "rejected", "referred-on"]] = Field(
        description="Whether the hub accepts the person, does not, or refers them elsewhere."
    )
    criteria_version: Open[Count] = Field(description="Version of the criteria applied.")
    decision_role: Open[
        Literal["panel", "hub-coordinator", "screening-officer", "senior-officer", "system"]
    ] = Field(description="In which role it was decided.")
    automation_level: Open[AutomationLevel] = Field(
        description="How far the decision was automated."
    )
    human_involvement: Open[
        Literal["decided-by-a-person", "changed-by-a-person", "confirmed-by-a-person", "none"]
    ] = Field(description="What a person did in it, as the source states (s.50A).")
    reasons: Personal[Narrative | None] = Field(
        default=None, description="Why it was so decided; others appear as [P1], [P2]."
    )
    risk_assessment: Personal[Narrative | None] = Field(
        default=None, description="The assessment of risk it rests on."
    )
    panel_id: Attribution[Uuid | None] = Field(
        default=None, description="Id of the panel that decided."
    )


class CaseReviewed(EventData):
    """The case is looked at again, and the next time is set."""

    about: ClassVar[Declaration] = Declaration(
        type="case.reviewed",
        family="case",
        description=(
            "The case was reviewed and the day of the next review set; what was found of the "
            "person, and whether the case goes on, is sealed."
        ),
        duty=(
            "DPA 2018 ss.38(3) and 39(2) (periodic review) and UK GDPR Art 5(1)(d) and (e); ICO "
            "enforcement notice of 13 November 2018"
        ),
        stream_kinds=("case",),
        example=Example(
            id="019d71af-3100-7ddf-bcd1-4be4b696ec64",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-04-09T10:00:00Z",
            data={
                "review_due": "2026-07-09",
                "review_kind": "scheduled",
                "outcome": "continue",
                "risk_band": "low",
                "subject_category": ["at-risk"],
                "reasons": "Fictional: meets the mentor every week; back at school.",
            },
        ),
    )

    review_due: Open[Date | None] = Field(
        default=None, description="Day the next review is due by; null where none was set."
    )
    review_kind: Coded[
        Literal["first", "scheduled", "new-information", "requested", "before-closing", "retention"]
    ] = Field(description="What kind of review it was.")
    outcome: Coded[Literal["continue", "close", "erase"]] = Field(
        description="Whether the case goes on, is to be closed, or is to be erased."
    )
    risk_band: Coded[RiskBand | None] = Field(default=None, description="Risk as assessed now.")
    subject_category: Coded[Annotated[list[SubjectCategory], Several(1, 7)]] = Field(
        description="What the person is now, of the categories of s.38(3); several may hold."
    )
    reasons: Personal[Narrative | None] = Field(
        default=None, description="Why; others appear as [P1], [P2]."
    )


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
            "merged",
            "split",
            "deceased",
            "other",
        ]
    ] = Field(description="Why it was closed.")
    continued_in: Coded[Uuid | None] = Field(
        default=None, description="Id of the case of the same person that goes on for it."
    )
