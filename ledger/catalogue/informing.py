"""Informing: the person is told that and why they were identified, or it is withheld for now.

Nothing withheld is ever in a case stream: what the person may be given of their
case then cannot tell them that something is kept from them.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CASE
from ledger.catalogue.fields import (
    Attribution,
    Coded,
    Count,
    Date,
    Flag,
    Language,
    Line,
    Narrative,
    Open,
    Personal,
    Uuid,
)
from ledger.catalogue.model import Declaration, EventData, Example, ServiceFields, is_another

#: Grounds of both regimes; one of the wrong regime is recorded as it came, and is no error.
WithholdingGround = Literal[
    "s44-4-a-inquiry",
    "s44-4-b-crime",
    "s44-4-c-public-security",
    "s44-4-d-national-security",
    "s44-4-e-rights-of-others",
    "s45a-legal-privilege",
    "s43-3-judicial",
    "national-security-certificate",
    "art14-5-a-already-has-it",
    "art14-5-b-impossible",
    "art14-5-c-laid-down-by-law",
    "art14-5-d-secrecy",
    "sch2-para2-crime",
    "sch2-para5-legal",
    "sch3-serious-harm",
    "none-stated",
]

_RESTRICTED = "f12ac1f0-9a18-4998-8e19-9f78c24d025b"


class SubjectNotified(EventData):
    """The person is told: the promise of 22 July 2019."""

    about: ClassVar[Declaration] = Declaration(
        type="subject.notified",
        family="case",
        description=(
            "The person, or someone for them, was told that and why they were identified; each "
            "flag says whether one thing they are owed was told."
        ),
        duty=(
            "Mayor's answer of 22 July 2019 (people are told why they were identified); DPA 2018 "
            "ss.44(2) and 164A; UK GDPR Arts 13 and 14"
        ),
        stream_kinds=("case",),
        example=Example(
            id="019be55c-7380-7e50-8b5d-4a9a05840f4c",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-01-22T11:00:00Z",
            data={
                "told_reasons": True,
                "told_legal_basis": True,
                "told_retention": True,
                "told_recipients": True,
                "told_rights": True,
                "told_complaint_to_controller": True,
                "told_complaint_to_commissioner": True,
                "delay_days": 10,
                "notified_party": "subject-and-parent",
                "channel": "in-person",
                "language": "en",
                "format": "plain-english",
                "text_given": "Fictional letter: your school asked us to offer you support.",
                "delivery_proof": "Fictional: handed over at a meeting.",
            },
        ),
    )

    told_reasons: Open[Flag] = Field(description="Told why they were identified.")
    told_legal_basis: Open[Flag] = Field(description="Told the legal basis.")
    told_retention: Open[Flag] = Field(description="Told how long data is kept.")
    told_recipients: Open[Flag] = Field(description="Told who receives data.")
    told_rights: Open[Flag] = Field(description="Told their rights.")
    told_complaint_to_controller: Open[Flag] = Field(
        description="Told they may complain to the controller (s.164A)."
    )
    told_complaint_to_commissioner: Open[Flag] = Field(
        description="Told they may complain to the Commissioner."
    )
    delay_days: Open[Count] = Field(description="Days from the identification to this.")
    notified_party: Coded[
        Literal["subject", "parent-or-guardian", "subject-and-parent", "representative"]
    ] = Field(description="Who was told; telling a parent alone is not telling the person.")
    channel: Coded[Literal["in-person", "home-visit", "letter", "telephone", "email", "video"]] = (
        Field(description="How they were told.")
    )
    language: Coded[Language] = Field(description="Language used, ISO 639 code.")
    format: Coded[
        Literal[
            "standard",
            "plain-english",
            "easy-read",
            "large-print",
            "braille",
            "audio",
            "interpreted",
        ]
    ] = Field(description="Format used.")
    text_given: Personal[Narrative | None] = Field(
        default=None, description="The text given to them."
    )
    delivery_proof: Personal[Narrative | None] = Field(
        default=None, description="How it is known that it reached them."
    )


class NotificationWithheld(EventData):
    """It is decided, for now, not to tell the person."""

    class Added(ServiceFields):
        """Filled in by the service."""

        approver_is_not_requester: Open[Flag | None] = Field(
            description=(
                "Whether the approver is another person than the actor who recorded this; "
                "null when no approver was given."
            )
        )

    about: ClassVar[Declaration] = Declaration(
        type="notification.withheld",
        family="case",
        description=(
            "Telling the person was withheld, on a ground and until a review. It is recorded in a "
            "restricted stream, joined to the case in sealed fields alone."
        ),
        duty="DPA 2018 s.44(4) to (7); UK GDPR Art 14(5) and Schedules 2 and 3 to the Act",
        stream_kinds=("restricted",),
        example=Example(
            id="019beb70-d900-7e52-87dd-998f8330df68",
            subject=f"restricted/{_RESTRICTED}",
            time="2026-01-23T15:20:00Z",
            data={
                "review_due": "2026-04-22",
                "ground": "sch3-serious-harm",
                "scope": "part",
                "subject_told_of_restriction": "not-told-would-defeat-it",
                "linked_case": "c3017403-be88-445d-b5a0-e105fa50dad1",
                "reasons": "Fictional: telling now would put the child at risk at home.",
                "approver": "6e509ddc-ace8-4f9b-8edc-842f657bf824",
                "approver_role": "Data protection officer",
            },
        ),
    )

    review_due: Open[Date | None] = Field(
        default=None, description="Day by which it is decided again; null where none was set."
    )
    ground: Coded[WithholdingGround] = Field(description="Ground relied on, of either regime.")
    scope: Coded[Literal["full", "part"]] = Field(
        description="Whether everything or a part is withheld."
    )
    subject_told_of_restriction: Coded[Literal["told", "not-told", "not-told-would-defeat-it"]] = (
        Field(description="Whether the person was told that something is withheld (s.44(5), (6)).")
    )
    linked_case: Coded[Uuid | None] = Field(default=None, description="Id of the case stream.")
    reasons: Personal[Narrative | None] = Field(
        default=None, description="The record of reasons that s.44(7) requires."
    )
    approver: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of who approved it."
    )
    approver_role: Attribution[Line | None] = Field(
        default=None, description="Rank or office of the approver."
    )

    @classmethod
    def derive(cls, actor: str | None, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The requester is the actor of the envelope."""
        return {"approver_is_not_requester": is_another(data["approver"], actor)}
