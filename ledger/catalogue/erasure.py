"""Erasure: the act of a controller, recorded so that nothing of what it erased is in the record.

Ordered by one, executed by another, and asked of everyone who received the data. What comes with
or after the execution (`erasure.executed`, `recipient_erasure.requested` and `.confirmed`) has no
Coded and no Personal field: it would be sealed about the person anew when the person is erased.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CASE, EXAMPLE_CLOSED_CASE
from ledger.catalogue.codes import OrganisationCategory
from ledger.catalogue.fields import (
    Attribution,
    Coded,
    Count,
    Date,
    Line,
    Open,
    Organisation,
    Several,
    Uuid,
)
from ledger.catalogue.model import Declaration, EventData, Example, ServiceFields
from ledger.catalogue.sharing import EXAMPLE_DISCLOSURE

EXAMPLE_ORDER = "019e4f45-4400-7f5b-9e79-9348b61f05b3"

Trigger = Literal["scheduled", "ordered"]


class ErasureOrdered(EventData):
    """It is decided that a person's data is erased.

    A coordinator or the data protection officer orders; only the latter executes. An order erases
    nothing, but the hub's own systems are not the ones to decide it. That the two acts are of
    different people and credentials is judged from both entries, and never refused.
    """

    about: ClassVar[Declaration] = Declaration(
        type="erasure.ordered",
        family="case",
        description=(
            "It was ordered that personal data of a stream be erased, and by which day. What "
            "called for it is sealed, and destroyed with the rest."
        ),
        duty="DPA 2018 ss.39, 47 and 48; UK GDPR Arts 5(1)(e) and 17",
        stream_kinds=("case", "party", "restricted", "content"),
        requires_role=frozenset({"coordinator", "dpo"}),
        example=Example(
            id=EXAMPLE_ORDER,
            subject=f"case/{EXAMPLE_CLOSED_CASE}",
            time="2026-05-22T10:40:00Z",
            actor="4ee99f98-c43c-40fa-bc79-377c70ba0cbb",
            data={
                "trigger": "scheduled",
                "erase_due": "2026-05-31",
                "ground": "identified-in-error",
                "scope": "stream",
            },
        ),
    )

    trigger: Open[Trigger] = Field(
        description="Whether a schedule or an order triggered it; which order is not said here."
    )
    erase_due: Open[Date | None] = Field(
        default=None, description="Day the data is to be erased by; null where none was set."
    )
    ground: Coded[
        Literal[
            "retention-period-ended",
            "not-accepted",
            "identified-in-error",
            "unlawful-processing",
            "legal-duty-to-erase",
            "request-of-the-person",
            "objection-upheld",
            "consent-withdrawn",
            "court-order",
            "other",
        ]
    ] = Field(description="What called for it (s.47, Art 17).")
    scope: Attribution[Literal["stream", "entries", "person"]] = Field(
        description="What is to be erased: this stream, some of its entries, all of the person's."
    )


class ErasureExecuted(EventData):
    """The subject key of a stream, and everything sealed under it, is destroyed.

    The type has no Coded and no Personal field: they would be sealed under the key that it
    destroys. What ordered the erasure is in `erasure.ordered`.
    """

    class Added(ServiceFields):
        """Filled in by the writer under the head lock."""

        key_ids: Open[Annotated[list[Uuid], Several()]] = Field(
            description="Ids of the keys to destroy; empty when nothing was sealed."
        )
        through: Open[Count] = Field(
            description="Version of the stream up to which sealed fields are erased."
        )

    about: ClassVar[Declaration] = Declaration(
        type="erasure.executed",
        family="case",
        description=(
            "The personal data of a stream was erased: its subject key and what was sealed under "
            "it are destroyed, and the entries stay provable."
        ),
        duty="DPA 2018 ss.39, 47 and 62(1)(f) (erasure logs); UK GDPR Arts 5(1)(e) and 17",
        stream_kinds=("case", "party", "restricted", "content"),
        occurred="instant",
        requires_role=frozenset({"dpo"}),
        example=Example(
            id="019e7303-f620-7be7-a955-f39d03c8396e",
            subject=f"case/{EXAMPLE_CLOSED_CASE}",
            time="2026-05-29T09:15:00Z",
            data={
                "trigger": "scheduled",
                "method": "key-and-ciphertext-destroyed",
                "scope": "stream",
                "executor": "22229d3c-ab6b-4eed-b393-64f8085f4bc0",
                "second_person": "6757d342-97d3-489b-951d-1f66d36173ae",
            },
        ),
    )

    trigger: Open[Trigger] = Field(
        description="Whether a schedule or an order triggered it; which order is not said here."
    )
    method: Attribution[Literal["key-and-ciphertext-destroyed"]] = Field(
        description="How data is erased: the one way this schema has."
    )
    scope: Attribution[Literal["stream"]] = Field(
        description="What is erased: the whole stream, the one scope this schema has."
    )
    executor: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of who carried it out."
    )
    second_person: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of the second person present."
    )


class RecipientErasureRequested(EventData):
    """A recipient of the person's data is told to erase it."""

    about: ClassVar[Declaration] = Declaration(
        type="recipient_erasure.requested",
        family="case",
        description=(
            "A recipient of a disclosure was told to erase what it received, and by which day. "
            "Who it was is sealed as in the disclosure."
        ),
        duty="DPA 2018 s.48(9); UK GDPR Art 19 (recipients are told of an erasure)",
        stream_kinds=("case",),
        example=Example(
            id="019df75d-9a80-73ee-bd07-90f28512315b",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-05-05T09:00:00Z",
            data={
                "disclosure_id": EXAMPLE_DISCLOSURE,
                "recipient_category": "voluntary-sector",
                "recipient_retention_until": "2026-05-19",
                "recipient_organisation": "fictional-youth-trust",
                "recipient_person": "Example Mentor",
            },
        ),
    )

    disclosure_id: Open[Uuid] = Field(description="The disclosure_id of what is to be erased.")
    recipient_category: Open[OrganisationCategory] = Field(
        description="Kind of organisation that was told."
    )
    recipient_retention_until: Open[Date | None] = Field(
        default=None, description="Day by which the recipient is to have deleted it."
    )
    recipient_organisation: Attribution[Organisation] = Field(
        description="The organisation that was told."
    )
    recipient_person: Attribution[Line | None] = Field(
        default=None, description="Who was told there, so far as known."
    )


class RecipientErasureConfirmed(EventData):
    """The recipient says that it has erased: evidence the sender cannot make up."""

    about: ClassVar[Declaration] = Declaration(
        type="recipient_erasure.confirmed",
        family="case",
        description=(
            "The recipient of a disclosure confirmed that it erased what it received, and how "
            "many copies it found. It is recorded by the recipient, whose identity is sealed."
        ),
        duty=(
            "DPA 2018 s.48(9) and UK GDPR Arts 5(1)(e) and 19; ICO enforcement notice of 13 "
            "November 2018 (informal lists)"
        ),
        stream_kinds=("case",),
        recipient=True,
        example=Example(
            id="019e1cb3-b580-7f7f-a26d-cc3dd8890767",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-05-12T15:00:00Z",
            source="fictional-trust-portal",
            organisation="fictional-youth-trust",
            actor="cc906e10-9a66-46ae-be79-003054920444",
            data={
                "disclosure_id": EXAMPLE_DISCLOSURE,
                "recipient_category": "voluntary-sector",
                "copies_found_band": "2-19",
                "method": "deleted",
                "recipient_organisation": "fictional-youth-trust",
                "recipient_person": "Example Mentor",
            },
        ),
    )

    disclosure_id: Open[Uuid] = Field(description="The disclosure_id of what was erased.")
    recipient_category: Open[OrganisationCategory] = Field(
        description="Kind of organisation that erased; stands for it in the envelope."
    )
    copies_found_band: Open[Literal["0", "1", "2-19", "20-or-more"]] = Field(
        description="How many copies it found and erased: none, 1, 2 to 19, or 20 and more."
    )
    method: Attribution[
        Literal["deleted", "key-destroyed", "media-destroyed", "paper-shredded", "returned"]
    ] = Field(description="How it was erased.")
    recipient_organisation: Attribution[Organisation] = Field(
        description="The organisation that erased it."
    )
    recipient_person: Attribution[Line | None] = Field(
        default=None, description="Who confirmed it there."
    )
