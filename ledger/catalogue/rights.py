"""What bars an erasure: legal holds, and requests of the person for access to their data.

A hold or a request that must not be known to the person is recorded in a restricted stream, where
the ledger does not look for it: no open field links the two.
"""

from typing import ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CASE
from ledger.catalogue.fields import Coded, Date, Line, Narrative, Open, Personal, Uuid
from ledger.catalogue.model import Declaration, EventData, Example

ABOUT_A_PERSON = ("case", "party", "restricted", "content")

_HOLD = "019cd735-6c80-7b1c-9d51-5a2c1f1e7a01"
_REQUEST = "019cdc5b-c800-7c0e-8f3b-7e0f4b6d9a02"


class LegalHoldPlaced(EventData):
    """The data is to be kept, whatever else would have it erased."""

    about: ClassVar[Declaration] = Declaration(
        type="legal_hold.placed",
        family="case",
        description=(
            "What is held about the person is to be kept, as evidence or because a court, an "
            "inquiry or a claim needs it. While a hold stands, the ledger refuses to erase."
        ),
        duty="DPA 2018 ss.46(4) and 47(2) (restriction instead of erasure); CPIA 1996 code",
        stream_kinds=ABOUT_A_PERSON,
        example=Example(
            id=_HOLD,
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-10T10:00:00Z",
            data={
                "review_due": "2026-06-10",
                "basis": "litigation",
                "reference": "Fictional: claim 1 of 2026",
                "reasons": "Fictional: the claim is about how the referral was handled.",
            },
        ),
    )

    review_due: Open[Date | None] = Field(
        default=None, description="Day by which the hold is looked at again."
    )
    basis: Coded[
        Literal["court-order", "evidence", "cpia", "statutory-inquiry", "litigation", "other"]
    ] = Field(description="What it is kept for; that of a court stands before everything else.")
    reference: Personal[Line | None] = Field(default=None, description="Reference of the matter.")
    reasons: Personal[Narrative | None] = Field(default=None, description="Why it is needed.")


class LegalHoldReleased(EventData):
    """A hold no longer stands."""

    about: ClassVar[Declaration] = Declaration(
        type="legal_hold.released",
        family="case",
        description="A legal hold was released: what it kept may be erased again when due.",
        duty="DPA 2018 ss.39 and 47 (not kept longer than necessary)",
        stream_kinds=ABOUT_A_PERSON,
        requires_role=frozenset({"coordinator", "dpo"}),
        example=Example(
            id="019cfb41-8400-7a6e-b0a3-9c1d2e3f4a03",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-17T10:00:00Z",
            data={"placed_event": _HOLD, "reason": "ended"},
        ),
    )

    placed_event: Open[Uuid] = Field(
        description="Id of the legal_hold.placed, which is in this same stream."
    )
    reason: Coded[Literal["ended", "withdrawn", "superseded", "placed-in-error", "other"]] = Field(
        description="Why it was released."
    )


class AccessRequestReceived(EventData):
    """The person asks for the data held about them."""

    about: ClassVar[Declaration] = Declaration(
        type="access_request.received",
        family="case",
        description=(
            "The person, or somebody for them, asked for access to their data. Until it is "
            "answered the ledger refuses to erase, unless a day to erase by was fixed before, or "
            "the person has waived it."
        ),
        duty="DPA 2018 ss.45, 54 and 173; UK GDPR Arts 12 and 15",
        stream_kinds=ABOUT_A_PERSON,
        example=Example(
            id=_REQUEST,
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-11T10:00:00Z",
            data={
                "route": "writing",
                "answer_due": "2026-04-11",
                "requested_by": "subject",
                "detail": "Fictional: everything that was shared with the mentor.",
            },
        ),
    )

    route: Open[Literal["writing", "electronic", "spoken", "through-representative"]] = Field(
        description="How it came."
    )
    answer_due: Open[Date | None] = Field(
        default=None, description="Day by which it is to be answered, as counted by the sender."
    )
    requested_by: Coded[Literal["subject", "parent-or-guardian", "representative", "court"]] = (
        Field(description="Who asked.")
    )
    detail: Personal[Narrative | None] = Field(default=None, description="What was asked for.")


class AccessRequestAnswered(EventData):
    """A request for access was answered, in whatever sense: the open part is the same for all."""

    about: ClassVar[Declaration] = Declaration(
        type="access_request.answered",
        family="case",
        description="A request for access was answered; how is sealed.",
        duty="DPA 2018 ss.45 and 48; UK GDPR Arts 12 and 15",
        stream_kinds=ABOUT_A_PERSON,
        example=Example(
            id="019d2e54-7800-7e2a-9b8c-1d2f3a4b5c04",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-27T10:00:00Z",
            data={
                "request_event": _REQUEST,
                "answer": "provided",
                "reasons": "Fictional: the whole of the record.",
            },
        ),
    )

    request_event: Open[Uuid] = Field(
        description="Id of the access_request.received, which is in this same stream."
    )
    answer: Coded[
        Literal[
            "provided",
            "provided-in-part",
            "refused",
            "neither-confirmed-nor-denied",
            "nothing-held",
            "withdrawn",
        ]
    ] = Field(description="What the answer was.")
    reasons: Personal[Narrative | None] = Field(default=None, description="Why.")


class AccessRequestWaived(EventData):
    """The person does not insist on an answer before the data is erased."""

    about: ClassVar[Declaration] = Declaration(
        type="access_request.waived",
        family="case",
        description=(
            "The person agreed in writing that their data may be erased before their request for "
            "access is answered."
        ),
        duty="DPA 2018 s.173 (erasing to prevent an answer)",
        stream_kinds=ABOUT_A_PERSON,
        requires_role=frozenset({"coordinator", "dpo"}),
        example=Example(
            id="019d57f4-2800-7f8c-8d9e-2e3f4a5b6c06",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-04-04T10:00:00Z",
            data={"request_event": _REQUEST, "evidence": "Fictional: letter of 3 April 2026."},
        ),
    )

    request_event: Open[Uuid] = Field(
        description="Id of the access_request.received, which is in this same stream."
    )
    evidence: Personal[Narrative | None] = Field(
        default=None, description="What it was waived in, and how the person was told."
    )
