"""The person, who speaks for them, and what they were offered of what is held about them.

A pack is given to the person, or to somebody who may act for them, by a channel that was made sure
of; before an erasure the person is offered theirs. That such an act happened, and when, is all that
is open. Who it was with, and how it went, is sealed: that somebody acts for a child tells of the
child. Competence is of one person and one decision; it is sealed, and no code of it goes by age.

What must not be offered is recorded in a restricted stream, if anywhere, and none of these types is
recorded there: nothing here says that something is withheld.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CASE, EXAMPLE_CLOSED_CASE
from ledger.catalogue.fields import (
    Attribution,
    Coded,
    Date,
    Line,
    Narrative,
    Open,
    Personal,
    Several,
    Uuid,
)
from ledger.catalogue.model import Declaration, EventData, Example

#: Streams of somebody who may know that they are spoken of, and so of no restricted one.
OF_A_PERSON = ("case", "party", "content")

Party = Literal["subject", "parent-or-guardian", "representative"]

_AUTHORISED = "019cdc70-3f00-7d1a-8b2c-4c5d6e7f8a01"


class IdentityVerified(EventData):
    """Somebody is who they say, and is reached by a channel."""

    about: ClassVar[Declaration] = Declaration(
        type="identity.verified",
        family="case",
        description=(
            "It was verified who somebody is who asks for data or is to be given it, and by which "
            "channel they are reached; who and how is sealed."
        ),
        duty="DPA 2018 s.52(4); UK GDPR Art 12(6) (who makes a request is known)",
        stream_kinds=OF_A_PERSON,
        example=Example(
            id="019cdc6e-6a40-7a5b-9c3d-1e2f3a4b5c01",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-11T11:00:00Z",
            data={
                "verified_party": "subject",
                "verification": ["known-to-worker"],
                "channel": "in-person",
                "detail": "Fictional: met at the youth club with their worker.",
            },
        ),
    )

    verified_party: Coded[Party] = Field(description="Whose identity was verified.")
    verification: Coded[
        Annotated[
            list[
                Literal[
                    "document",
                    "known-to-worker",
                    "knowledge-of-record",
                    "recorded-address",
                    "other",
                ]
            ],
            Several(1, 5),
        ]
    ] = Field(description="How it was verified; more than one may hold.")
    channel: Coded[Literal["in-person", "post", "email", "telephone", "secure-portal"]] = Field(
        description="The channel that was verified with it."
    )
    detail: Personal[Narrative | None] = Field(
        default=None, description="What was seen, and the address or number of the channel."
    )


class RepresentativeAuthorised(EventData):
    """Somebody may act for the person."""

    about: ClassVar[Declaration] = Declaration(
        type="representative.authorised",
        family="case",
        description=(
            "Somebody was taken to act for the person; who, on what authority, for what and until "
            "when is sealed."
        ),
        duty="DPA 2018 ss.45 and 52; UK GDPR Arts 12 and 15 (who asks for the person)",
        stream_kinds=OF_A_PERSON,
        example=Example(
            id=_AUTHORISED,
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-11T11:30:00Z",
            data={
                "representative_kind": "solicitor",
                "authority": "authorised-by-the-person",
                "acts_for": ["access"],
                "valid_until": "2026-09-11",
                "representative_name": "Example Person Two",
                "detail": "Fictional: form of authority of 10 March 2026.",
            },
        ),
    )

    representative_kind: Coded[
        Literal[
            "solicitor",
            "parent-or-guardian",
            "local-authority",
            "advocate",
            "court-appointed",
            "other",
        ]
    ] = Field(description="What the representative is to the person.")
    authority: Coded[
        Literal[
            "authorised-by-the-person",
            "parental-responsibility",
            "power-of-attorney",
            "court-order",
            "statute",
            "none-stated",
        ]
    ] = Field(description="What the authority rests on.")
    acts_for: Coded[
        Annotated[
            list[
                Literal[
                    "being-told",
                    "access",
                    "rectification",
                    "restriction",
                    "objection",
                    "erasure",
                    "complaint",
                    "support",
                ]
            ],
            Several(1, 8),
        ]
    ] = Field(description="What they may do for the person.")
    valid_until: Coded[Date | None] = Field(
        default=None, description="Last day of the authority; null where none was set."
    )
    representative_name: Personal[Line | None] = Field(
        default=None, description="Who the representative is."
    )
    detail: Personal[Narrative | None] = Field(default=None, description="What evidences it.")


class RepresentativeRevoked(EventData):
    """Somebody may act for the person no longer."""

    about: ClassVar[Declaration] = Declaration(
        type="representative.revoked",
        family="case",
        description="An authority to act for the person ended before its last day.",
        duty="DPA 2018 ss.45 and 52; UK GDPR Arts 12 and 15 (who asks for the person)",
        stream_kinds=OF_A_PERSON,
        example=Example(
            id="019d2e62-1b00-7b2c-8d3e-5f6a7b8c9d01",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-27T10:15:00Z",
            data={"authorised_event": _AUTHORISED, "reason": "by-the-person"},
        ),
    )

    authorised_event: Open[Uuid] = Field(
        description="Id of the representative.authorised, which is in this same stream."
    )
    reason: Coded[
        Literal[
            "by-the-person", "by-the-representative", "by-a-court", "authority-not-shown", "other"
        ]
    ] = Field(description="Who or what ended it.")


class CapacityAssessed(EventData):
    """Whether the person can decide something for themselves."""

    about: ClassVar[Declaration] = Declaration(
        type="capacity.assessed",
        family="case",
        description=(
            "It was assessed whether the person is able to make a decision of their own about "
            "their data or support; which, and what it came to, is sealed. It holds for that "
            "person and that decision alone."
        ),
        duty=(
            "Mental Capacity Act 2005 ss.1 to 4 (from 16); Gillick v West Norfolk and Wisbech AHA "
            "[1986] AC 112 (competence under 16); UK GDPR Art 12(1)"
        ),
        stream_kinds=OF_A_PERSON,
        example=Example(
            id="019cdc72-1400-7c3d-9e4f-6a7b8c9d0e01",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-11T12:00:00Z",
            data={
                "decision": "asking-for-own-data",
                "capacity": "able",
                "basis": "conversation",
                "assessor": "6e509ddc-ace8-4f9b-8edc-842f657bf824",
                "reasons": "Fictional: explained in their own words what they are asking for.",
            },
        ),
    )

    decision: Coded[
        Literal[
            "being-told-reasons",
            "asking-for-own-data",
            "agreeing-to-a-share",
            "accepting-support",
            "authorising-somebody",
            "other",
        ]
    ] = Field(description="What the person would decide.")
    capacity: Coded[Literal["able", "able-with-help", "not-able", "not-settled"]] = Field(
        description="What the assessment came to; that it is not settled is no finding against it."
    )
    basis: Coded[Literal["conversation", "professional-opinion", "court-finding", "other"]] = Field(
        description="What it rests on."
    )
    reasons: Personal[Narrative | None] = Field(
        default=None, description="Why, and what help was given to decide."
    )
    assessor: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of who assessed it."
    )


class PackOffered(EventData):
    """The person was offered a copy of what is held about them."""

    about: ClassVar[Declaration] = Declaration(
        type="pack.offered",
        family="case",
        description=(
            "The person, or somebody who acts for them, was offered a pack of this stream, as "
            "before an erasure, after which there is nothing to give; to whom and with what "
            "answer is sealed."
        ),
        duty=(
            "DPA 2018 ss.35 and 45 and UK GDPR Arts 5(1)(a) and 15 (fairness, access); DPA 2018 "
            "s.173 (nothing is erased to prevent an answer)"
        ),
        stream_kinds=OF_A_PERSON,
        example=Example(
            id="019e3f03-5a00-7d4e-8f5a-7b8c9d0e1f01",
            subject=f"case/{EXAMPLE_CLOSED_CASE}",
            time="2026-05-19T10:00:00Z",
            data={
                "offered_to": "subject",
                "answer": "accepted",
                "detail": "Fictional: to be collected on 21 May.",
            },
        ),
    )

    offered_to: Coded[Party] = Field(description="Who was offered it.")
    answer: Coded[Literal["accepted", "declined", "no-answer", "could-not-be-reached"]] = Field(
        description="What came of the offer."
    )
    detail: Personal[Narrative | None] = Field(
        default=None, description="How it was offered, and how it is to be handed over."
    )
