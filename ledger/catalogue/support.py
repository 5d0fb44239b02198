"""Support: what a hub is for, offered and then accepted or declined.

Accepting support is not consent to processing, and declining it is nothing against anybody: the
two are events of their own, and say nothing in the open but that they happened.
"""

from typing import ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CASE
from ledger.catalogue.fields import Coded, Date, Narrative, Organisation, Personal
from ledger.catalogue.model import Declaration, EventData, Example

Pathway = Literal[
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
#: Who answers for a child need not be the child: competence is individual.
AnsweredBy = Literal[
    "subject", "parent-or-guardian", "subject-and-parent", "representative", "not-stated"
]
#: The example of support.declined, which the example of event.corrected takes back.
EXAMPLE_DECLINED = "019c0fb4-4b80-756b-8b91-07bdb94ef8db"


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

    pathway: Coded[Pathway] = Field(description="Kind of support.")
    provider: Coded[Organisation | None] = Field(
        default=None, description="Organisation that would provide it."
    )
    plan: Personal[Narrative | None] = Field(default=None, description="The plan offered.")


class SupportAccepted(EventData):
    """The offer is taken up."""

    about: ClassVar[Declaration] = Declaration(
        type="support.accepted",
        family="case",
        description=(
            "Support that was offered was accepted; what it is and who accepted it is sealed. It "
            "is not a record of consent to any processing."
        ),
        duty="Mayor's answer of 22 July 2019 (support and pathways are provided)",
        stream_kinds=("case",),
        example=Example(
            id="019c0fbd-7340-7d29-91f6-6ce26fc2913b",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-01-30T16:30:00Z",
            data={
                "pathway": "mentoring",
                "provider": "fictional-youth-trust",
                "answered_by": "subject-and-parent",
                "starts_on": "2026-02-09",
                "plan": "Fictional: Mondays after school, first meeting at the library.",
            },
        ),
    )

    pathway: Coded[Pathway] = Field(description="Kind of support.")
    provider: Coded[Organisation | None] = Field(
        default=None, description="Organisation that provides it."
    )
    answered_by: Coded[AnsweredBy] = Field(description="Who accepted it.")
    starts_on: Coded[Date | None] = Field(default=None, description="Day it is to start.")
    plan: Personal[Narrative | None] = Field(default=None, description="The plan agreed.")


class SupportDeclined(EventData):
    """The offer is not taken up, which must have no adverse consequence."""

    about: ClassVar[Declaration] = Declaration(
        type="support.declined",
        family="case",
        description=(
            "Support that was offered was declined; what was declined, by whom and why is sealed. "
            "It is recorded so that nothing adverse follows from it unseen."
        ),
        duty=(
            "DPA 2018 s.35 and UK GDPR Art 5(1)(a) (fairness); Mayor's answer of 22 July 2019 "
            "(support is offered)"
        ),
        stream_kinds=("case",),
        example=Example(
            id=EXAMPLE_DECLINED,
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-01-30T16:20:00Z",
            data={
                "pathway": "mentoring",
                "answered_by": "subject",
                "reason": "not-stated",
                "words": "Fictional: entered on this case by mistake.",
            },
        ),
    )

    pathway: Coded[Pathway] = Field(description="Kind of support.")
    answered_by: Coded[AnsweredBy] = Field(description="Who declined it.")
    reason: Coded[
        Literal[
            "not-wanted",
            "not-suitable",
            "supported-elsewhere",
            "mistrust",
            "family-objects",
            "cannot-attend",
            "other",
            "not-stated",
        ]
    ] = Field(description="Why, as far as it was said.")
    words: Personal[Narrative | None] = Field(
        default=None, description="What they said, in their own words."
    )
