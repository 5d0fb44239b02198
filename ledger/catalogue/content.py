"""Content: posts referred to social media companies, and what came of it (Project Alpha)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.fields import (
    Attribution,
    Coded,
    Count,
    Flag,
    Line,
    Narrative,
    Open,
    Personal,
    Sha256,
    Url,
    Uuid,
)
from ledger.catalogue.model import Declaration, EventData, Example, ServiceFields, is_another

Platform = Literal[
    "facebook",
    "instagram",
    "youtube",
    "tiktok",
    "snapchat",
    "x",
    "telegram",
    "whatsapp",
    "spotify",
    "soundcloud",
    "other",
]
Harm = Literal[
    "incitement-to-violence",
    "threats",
    "weapons",
    "drugs",
    "exploitation",
    "hate",
    "harassment",
    "glorifying-violence",
    "other",
]
#: The enactment an illegal post is said to breach. It tells the offence, and so is sealed.
Enactment = Literal[
    "offences-against-the-person-act-1861",
    "public-order-act-1986",
    "malicious-communications-act-1988",
    "protection-from-harassment-act-1997",
    "communications-act-2003",
    "serious-crime-act-2007",
    "modern-slavery-act-2015",
    "online-safety-act-2023",
    "misuse-of-drugs-act-1971",
    "other",
]
#: On what footing naming an account to a platform abroad rests (DPA 2018 ss.73 to 77, UK GDPR
#: Arts 45 to 49).
TransferCondition = Literal[
    "adequacy",
    "appropriate-safeguards",
    "special-circumstances",
    "s77-strictly-necessary",
    "derogation",
    "none-stated",
]

_POST = "content/bea44bc0-dd02-4e8d-a3f9-6bd040797c0d"


class ContentReferred(EventData):
    """A post is referred to a platform for removal."""

    class Added(ServiceFields):
        """Filled in by the service."""

        assessor_is_not_approver: Open[Flag | None] = Field(
            description=(
                "Whether assessor and approver are different people; null when either is not given."
            )
        )

    about: ClassVar[Declaration] = Declaration(
        type="content.referred",
        family="content",
        description=(
            "Content was referred to a platform, as illegal or as breaking its rules; where the "
            "post is and what it says is sealed."
        ),
        duty=(
            "DPA 2018 ss.35, 37 and 72 to 78 (a platform abroad); Equality Act 2010 s.149; "
            "Oversight Board decision of 22 November 2022 (requests must be transparent)"
        ),
        stream_kinds=("content",),
        example=Example(
            id="019c47a3-2480-738c-969f-bfc344d09f3d",
            subject=_POST,
            time="2026-02-18T13:00:00Z",
            hub="central",
            source="alpha-referrals",
            organisation="met-police",
            regime="dpa_part3",
            data={
                "platform": "youtube",
                "basis": "terms-of-service",
                "route": "trusted-flagger",
                "overseas_transfer": True,
                "transfer_condition": "s77-strictly-necessary",
                "equality_check": True,
                "genre": "music-drill",
                "harm": "threats",
                "url": "https://video.example/watch/synthetic-0001",
                "handle": "synthetic_account_0001",
                "capture_sha256": "d7" * 32,
                "text": "Fictional: the second verse threatens a named group.",
                "assessor": "f0a3117a-2a8f-44e9-a148-2dc5e06b6ca7",
                "approver": "21323f32-5747-41df-afee-23750b62aff1",
            },
        ),
    )

    platform: Open[Platform] = Field(description="Platform it was referred to.")
    basis: Open[Literal["illegal", "terms-of-service"]] = Field(
        description="Whether it is said to be illegal or to break the platform's rules."
    )
    route: Open[
        Literal["trusted-flagger", "law-enforcement-portal", "public-form", "email", "court-order"]
    ] = Field(description="By which route it was referred.")
    repeat_of: Open[Uuid | None] = Field(
        default=None, description="Id of the earlier referral's event, when it is a repeat."
    )
    overseas_transfer: Open[Flag] = Field(description="Whether personal data went abroad with it.")
    transfer_condition: Coded[TransferCondition | None] = Field(
        default=None, description="Condition the transfer abroad rests on."
    )
    legal_ref: Coded[Enactment | None] = Field(
        default=None, description="Enactment it is said to breach, when illegal."
    )
    equality_check: Coded[Flag] = Field(
        description="Whether its effect on people with protected characteristics was considered."
    )
    genre: Coded[
        Literal["music-drill", "music-other", "video", "livestream", "image", "text", "other"]
    ] = Field(description="Kind of content.")
    harm: Coded[Harm] = Field(description="Harm it is said to do.")
    linked_case: Coded[Uuid | None] = Field(default=None, description="Id of a case it bears on.")
    url: Personal[Url | None] = Field(default=None, description="Where the content is.")
    handle: Personal[Line | None] = Field(default=None, description="Account that posted it.")
    capture_sha256: Personal[Sha256 | None] = Field(
        default=None, description="SHA-256 of the copy kept as evidence."
    )
    text: Personal[Narrative | None] = Field(
        default=None, description="What the platform was told."
    )
    assessor: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of who assessed it."
    )
    approver: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of who approved the referral."
    )

    @classmethod
    def derive(cls, actor: str | None, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Both are submitted and sealed; only that they differ is open."""
        return {"assessor_is_not_approver": is_another(data["assessor"], data["approver"])}


class ContentOutcomeRecorded(EventData):
    """What the platform did."""

    about: ClassVar[Declaration] = Declaration(
        type="content.outcome_recorded",
        family="content",
        description="The platform's answer to a referral was recorded; what it did is sealed.",
        duty="Equality Act 2010 s.149 and published transparency figures on referrals",
        stream_kinds=("content",),
        example=Example(
            id="019c70d6-0480-79f9-9537-1d9489f8f6dc",
            subject=_POST,
            time="2026-02-25T13:00:00Z",
            hub="central",
            source="alpha-referrals",
            organisation="met-police",
            regime="dpa_part3",
            data={
                "elapsed_days": 7,
                "outcome": "removed",
                "platform_reply": "Fictional: removed under our rules on violent threats.",
            },
        ),
    )

    elapsed_days: Coded[Count] = Field(description="Days from the referral to the answer.")
    outcome: Coded[
        Literal[
            "removed",
            "geo-blocked",
            "age-restricted",
            "no-action",
            "more-information-asked",
            "no-answer",
            "reinstated",
        ]
    ] = Field(description="What the platform did.")
    platform_reply: Personal[Narrative | None] = Field(
        default=None, description="What the platform answered."
    )
