"""Whether what is held is right: what the person contests, what was decided, and what is about
somebody else.

That entries are contested, which, and when it was decided is open, so that nobody reads them
without knowing; what was decided, and every word of it, is sealed. A decision edits nothing: the
value that is right is in the decision, or in a new event, and the one that was wrong stays until an
erasure of those entries destroys it, or is kept as evidence. An opinion is never corrected into a
fact (DPA 2018 s.38(2)): whether an entry is one is for whoever decides.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CASE
from ledger.catalogue.codes import OrganisationCategory
from ledger.catalogue.errors import field_error
from ledger.catalogue.fields import (
    Attribution,
    Coded,
    Date,
    Line,
    Narrative,
    Open,
    Organisation,
    Personal,
    Several,
    Uuid,
)
from ledger.catalogue.model import Declaration, EventData, Example
from ledger.catalogue.person import OF_A_PERSON, Party
from ledger.catalogue.rights import ABOUT_A_PERSON
from ledger.catalogue.sharing import EXAMPLE_DISCLOSURE
from ledger.catalogue.support import EXAMPLE_DECLINED
from ledger.errors import FieldError

_CONTESTED = "019cb8a2-6f00-7a4d-8c1b-2d3e4f5a6b01"
_DECIDED = "019cd734-8200-7b5e-9d2c-3e4f5a6b7c01"


class AccuracyContested(EventData):
    """The person says that entries are not right."""

    about: ClassVar[Declaration] = Declaration(
        type="accuracy.contested",
        family="case",
        description=(
            "The person, or somebody for them, contests what entries of this stream say. Until it "
            "is decided they are read as disputed, with what the person says of them."
        ),
        duty="DPA 2018 ss.46 and 47(3); UK GDPR Arts 16 and 18(1)(a)",
        stream_kinds=OF_A_PERSON,
        example=Example(
            id=_CONTESTED,
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-04T11:00:00Z",
            data={
                "contested_events": [EXAMPLE_DECLINED],
                "route": "spoken",
                "decision_due": "2026-04-04",
                "contested_by": "subject",
                "statement": "Fictional: I never said no to the mentor.",
            },
        ),
    )

    contested_events: Open[Annotated[list[Uuid], Several(1)]] = Field(
        description="Ids of the events that are contested, which are in this same stream."
    )
    route: Open[Literal["writing", "electronic", "spoken", "through-representative"]] = Field(
        description="How it came."
    )
    decision_due: Open[Date | None] = Field(
        default=None, description="Day by which it is to be decided, as counted by the sender."
    )
    contested_by: Coded[Party] = Field(description="Who contests.")
    statement: Personal[Narrative | None] = Field(
        default=None, description="What they say of it; shown wherever the events are opened."
    )


class RectificationDecided(EventData):
    """What was decided of entries that were contested: the open part is the same for all."""

    about: ClassVar[Declaration] = Declaration(
        type="rectification.decided",
        family="case",
        description=(
            "It was decided what becomes of entries that were contested; what, and why, is sealed."
        ),
        duty="DPA 2018 ss.46 to 48; UK GDPR Arts 16, 18 and 19",
        stream_kinds=OF_A_PERSON,
        example=Example(
            id=_DECIDED,
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-10T09:30:00Z",
            data={
                "contested_event": _CONTESTED,
                "outcome": "rectified",
                "right_value": "Fictional: the offer was accepted.",
                "reasons": "Fictional: the mentor remembers it as they do.",
                "decided_by": "6e509ddc-ace8-4f9b-8edc-842f657bf824",
            },
        ),
    )

    contested_event: Open[Uuid] = Field(
        description="Id of the accuracy.contested, which is in this same stream."
    )
    outcome: Coded[
        Literal[
            "rectified",
            "completed",
            "refused",
            "restricted-as-evidence",
            "restricted-while-unascertainable",
        ]
    ] = Field(
        description=(
            "Put right; completed by a statement; left as it is; or kept, and used for nothing "
            "else, as evidence or because it cannot be found out what is right."
        )
    )
    right_value: Personal[Narrative | None] = Field(
        default=None,
        description="What is right, or the statement that completes it; shown wherever the "
        "contested events are opened.",
    )
    reasons: Personal[Narrative | None] = Field(default=None, description="Why.")
    decided_by: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of who decided."
    )


class RectificationNotified(EventData):
    """Somebody who had what was wrong is told what was decided of it."""

    about: ClassVar[Declaration] = Declaration(
        type="rectification.notified",
        family="case",
        description=(
            "Somebody who received the data, or a system that it came from, was told that it was "
            "decided to put it right, to complete or to restrict it."
        ),
        duty="DPA 2018 s.48(7) to (9); UK GDPR Art 19",
        stream_kinds=OF_A_PERSON,
        example=Example(
            id="019cd747-6a00-7c6f-8d3e-4f5a6b7c8d02",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-10T11:00:00Z",
            data={
                "decided_event": _DECIDED,
                "disclosure_id": EXAMPLE_DISCLOSURE,
                "recipient_category": "voluntary-sector",
                "told_person": "Example Mentor",
            },
        ),
    )

    decided_event: Open[Uuid] = Field(
        description="Id of the rectification.decided, which is in this same stream."
    )
    disclosure_id: Open[Uuid | None] = Field(
        default=None,
        description="Id of the share by which a recipient had it; null where a system was told.",
    )
    recipient_category: Open[OrganisationCategory | None] = Field(
        default=None, description="Kind of organisation that was told, with a share."
    )
    told_system: Attribution[Organisation | None] = Field(
        default=None, description="Code of the system that was told, where it is no recipient."
    )
    told_person: Attribution[Line | None] = Field(
        default=None, description="Who was told there, so far as known."
    )

    def cross_check(self) -> Iterable[FieldError]:
        if (self.disclosure_id is None) is not (self.recipient_category is None):
            yield field_error("recipient_category", "goes with disclosure_id, and with it alone")


class EntryMisattributed(EventData):
    """An entry is about somebody else. In which stream that one's is, is not said in this."""

    about: ClassVar[Declaration] = Declaration(
        type="entry.misattributed",
        family="case",
        description=(
            "An earlier entry of the same stream is about somebody else than the stream is. It "
            "counts no longer towards the state, and the person's packs open nothing of it. What "
            "it seals is to be recorded in the right stream, and erased in this one."
        ),
        duty="DPA 2018 ss.38(1) and 46; UK GDPR Arts 5(1)(d) and 16 (accuracy)",
        stream_kinds=ABOUT_A_PERSON,
        # It takes something out of what the person is given.
        requires_role=frozenset({"coordinator", "dpo"}),
        example=Example(
            id="019cfb06-9a00-7c6f-8e3d-4f5a6b7c8d01",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-17T09:00:00Z",
            data={
                "misattributed_event": "019cb368-8f20-7f8a-91a4-674606ab0a16",
                "cause": "wrong-record",
                "other_person": "not-affected",
                "reason": "Fictional: the address was that of another young person.",
            },
        ),
    )

    misattributed_event: Open[Uuid] = Field(
        description="Id of the earlier event, which is in this same stream."
    )
    cause: Coded[Literal["same-name", "wrong-record", "records-merged", "other"]] = Field(
        description="How it came to be here."
    )
    other_person: Coded[Literal["told", "to-be-told", "not-affected", "not-known"]] = Field(
        description="Whether the one that it is about was told that it was here."
    )
    reason: Personal[Narrative | None] = Field(default=None, description="What was wrong.")
