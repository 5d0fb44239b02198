"""Sharing: what leaves the hub about a person, to whom, on what footing, and that it arrived."""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CASE
from ledger.catalogue.codes import (
    DataCategory,
    Gateway,
    OrganisationCategory,
    Purpose,
    SubjectCategory,
)
from ledger.catalogue.errors import field_error
from ledger.catalogue.fields import (
    Attribution,
    Coded,
    Count,
    Date,
    Flag,
    Line,
    Narrative,
    Open,
    Organisation,
    Personal,
    Several,
    Sha256,
    Uuid,
)
from ledger.catalogue.governance import EXAMPLE_AGREEMENT
from ledger.catalogue.model import Declaration, EventData, Example
from ledger.errors import FieldError

CountBand = Literal["1", "2-19", "20-or-more"]
Redaction = Literal[
    "unredacted",
    "third-parties-removed",
    "victims-removed",
    "minimum-for-purpose",
    "pseudonymised",
]
Transfer = Literal[
    "secure-email",
    "encrypted-file-transfer",
    "secure-portal",
    "system-to-system",
    "in-person",
    "telephone",
    "post",
    "unencrypted-email",
    "other",
]
Quality = Literal["verified", "partly-verified", "unverified", "disputed", "not-stated"]
#: Urgency is a code of necessity: codes of necessity are open, and nothing else that is open says
#: it.
Necessity = Literal[
    "necessary",
    "expedient",
    "strictly-necessary",
    "urgent",
    "risk-to-life",
    "required-by-law",
    "not-stated",
]

EXAMPLE_DISCLOSURE = "945c907b-c118-4866-929e-6868047e2168"
_DIGEST = "c4" * 32


def band_of(count: int) -> CountBand:
    """The open band of an exact number of people."""
    return "1" if count <= 1 else "2-19" if count < 20 else "20-or-more"


class DataDisclosed(EventData):
    """Personal data is shared with a recipient outside the controller."""

    about: ClassVar[Declaration] = Declaration(
        type="data.disclosed",
        family="case",
        description=(
            "Data about the person was disclosed: to which kind of recipient, through which "
            "gateway, for what, how much of it, and how. Who received it and what is sealed."
        ),
        duty=(
            "DPA 2018 ss.36(4), 37, 38(4) to (5), 48(9) and 62(3) (disclosure); UK GDPR Arts 5, "
            "19 and 30; ICO enforcement notice of 13 November 2018"
        ),
        stream_kinds=("case",),
        occurred="instant",
        example=Example(
            id="019bdbb9-3e08-70cd-adec-ffde623dd8df",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-02-02T16:00:00.250Z",
            data={
                "disclosure_id": EXAMPLE_DISCLOSURE,
                "recipient_category": "voluntary-sector",
                "gateway": "children-act-2004-s10",
                "agreement_ref": EXAMPLE_AGREEMENT,
                "purpose": "support",
                "special_category_data": False,
                "criminal_offence_data": False,
                "within_agreement_scope": True,
                "subject_count_band": "1",
                "redaction_profile": "minimum-for-purpose",
                "transfer_method": "secure-portal",
                "overseas": False,
                "onward_sharing_allowed": False,
                "authorised_by_law": True,
                "recipient_retention_until": "2026-12-31",
                "quality_statement": "verified",
                "necessity": ["necessary"],
                "data_categories": ["identity", "contact", "support-plan"],
                "subject_category": ["at-risk"],
                "version_digest": _DIGEST,
                "recipient_organisation": "fictional-youth-trust",
                "recipient_person": "Example Mentor",
                "subject_count": 1,
                "necessity_reasons": "Fictional: the mentor needs a name and a way to call.",
                "content_manifest": "Fictional: name, telephone number, first support plan.",
            },
        ),
    )

    disclosure_id: Open[Uuid] = Field(
        description="Random id by which an acknowledgement or a later request names this."
    )
    recipient_category: Open[OrganisationCategory] = Field(
        description="Kind of organisation that received it."
    )
    gateway: Open[Gateway] = Field(description="Power relied on to share.")
    agreement_ref: Open[Uuid | None] = Field(
        default=None, description="Id of the agreement stream it falls under."
    )
    purpose: Open[Purpose] = Field(description="What the recipient is to use it for.")
    special_category_data: Open[Flag] = Field(
        description="Whether special category or sensitive data is in it."
    )
    criminal_offence_data: Open[Flag] = Field(description="Whether data about offences is in it.")
    within_agreement_scope: Open[Flag | None] = Field(
        default=None,
        description="Whether its data categories are all in the agreement; null without one.",
    )
    subject_count_band: Open[CountBand] = Field(
        description="How many people it is about: 1, 2 to 19, or 20 and more."
    )
    redaction_profile: Open[Redaction] = Field(description="How far it was redacted.")
    transfer_method: Open[Transfer] = Field(description="How it was sent.")
    overseas: Open[Flag] = Field(description="Whether it left the United Kingdom.")
    onward_sharing_allowed: Open[Flag] = Field(description="Whether the recipient may pass it on.")
    authorised_by_law: Open[Flag | None] = Field(
        default=None,
        description=(
            "Whether law authorises use outside law enforcement (s.36(4)); null where the data "
            "was not collected for law enforcement."
        ),
    )
    recipient_retention_until: Open[Date | None] = Field(
        default=None, description="Day by which the recipient is to have deleted it."
    )
    quality_statement: Open[Quality] = Field(
        description="What the recipient was told of its accuracy (s.38(5))."
    )
    necessity: Open[Annotated[list[Necessity], Several(1, 7)]] = Field(
        description="Codes of necessity and urgency; more than one may hold."
    )
    data_categories: Coded[Annotated[list[DataCategory], Several(1, 15)]] = Field(
        description="Categories of data in it."
    )
    subject_category: Coded[Annotated[list[SubjectCategory], Several(1, 7)]] = Field(
        description="What the person was said to be, of the categories of s.38(3)."
    )
    version_digest: Coded[Sha256 | None] = Field(
        default=None, description="SHA-256 of what was sent."
    )
    recipient_organisation: Attribution[Organisation] = Field(
        description="The organisation that received it."
    )
    recipient_person: Attribution[Line | None] = Field(
        default=None, description="Who received it there, so far as known."
    )
    subject_count: Attribution[Count | None] = Field(
        default=None, description="Exact number of people it is about."
    )
    necessity_reasons: Personal[Narrative | None] = Field(
        default=None, description="Why it was necessary and proportionate."
    )
    content_manifest: Personal[Narrative | None] = Field(
        default=None, description="What was in it."
    )

    def cross_check(self) -> Iterable[FieldError]:
        """An open band that contradicts the sealed number is a mistake at the source."""
        if self.subject_count is None:
            return
        if self.subject_count == 0:
            yield field_error("subject_count", "must be at least 1, or left out")
        elif band_of(self.subject_count) != self.subject_count_band:
            yield field_error("subject_count_band", "must be the band that subject_count is in")


class DisclosureAcknowledged(EventData):
    """The recipient says that it arrived: evidence the sender cannot make up."""

    about: ClassVar[Declaration] = Declaration(
        type="disclosure.acknowledged",
        family="case",
        description=(
            "The recipient of a disclosure acknowledged it, with the digest of what arrived. It "
            "is recorded by the recipient, whose identity is sealed."
        ),
        duty="DPA 2018 s.38 (quality of what is sent); the conditions of sharing agreements",
        stream_kinds=("case",),
        recipient=True,
        example=Example(
            id="019c1f15-1000-7094-91d1-3cf843c243ee",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-02-03T08:45:30Z",
            source="fictional-trust-portal",
            organisation="fictional-youth-trust",
            actor="cc906e10-9a66-46ae-be79-003054920444",
            data={
                "disclosure_id": EXAMPLE_DISCLOSURE,
                "recipient_category": "voluntary-sector",
                "received_digest": _DIGEST,
                "conditions_accepted": True,
                "recipient_organisation": "fictional-youth-trust",
                "recipient_person": "Example Mentor",
            },
        ),
    )

    disclosure_id: Open[Uuid] = Field(description="The disclosure_id of what was received.")
    recipient_category: Open[OrganisationCategory] = Field(
        description="Kind of organisation that received it; stands for it in the envelope."
    )
    received_digest: Coded[Sha256 | None] = Field(
        default=None, description="SHA-256 of what arrived."
    )
    conditions_accepted: Attribution[Flag] = Field(
        description="Whether the recipient accepts the conditions it was sent under."
    )
    recipient_organisation: Attribution[Organisation] = Field(
        description="The organisation that received it."
    )
    recipient_person: Attribution[Line | None] = Field(
        default=None, description="Who received it there."
    )
