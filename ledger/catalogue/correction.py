"""Correction: what was altered at its source, and which entry was itself a mistake.

Nothing here edits: the altered record's values and the corrected entry both stay as they were.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CASE
from ledger.catalogue.errors import field_error
from ledger.catalogue.fields import Coded, FieldName, Narrative, Open, Personal, Several, Uuid
from ledger.catalogue.model import Declaration, EventData, Example
from ledger.catalogue.support import EXAMPLE_DECLINED
from ledger.errors import FieldError


class RecordAltered(EventData):
    """A record about the person was changed in the system that keeps it."""

    about: ClassVar[Declaration] = Declaration(
        type="record.altered",
        family="case",
        description=(
            "A record about the person was altered at its source; which fields, why, and what "
            "they said before and after is sealed."
        ),
        duty="DPA 2018 ss.38, 46 and 62(1)(b) (alteration logs); UK GDPR Arts 5(1)(d) and 16",
        mark="log",
        stream_kinds=("case", "party", "restricted", "content"),
        example=Example(
            id="019cb368-8f20-7f8a-91a4-674606ab0a16",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-03T11:15:00Z",
            data={
                "altered_fields": ["address"],
                "reason": "out-of-date",
                "before": "Fictional: 1 Example Street, Fictional Town",
                "after": "Fictional: 2 Example Street, Fictional Town",
            },
        ),
    )

    altered_fields: Coded[Annotated[list[FieldName], Several(1)]] = Field(
        description="Names of the fields that were altered."
    )
    reason: Coded[
        Literal[
            "error",
            "out-of-date",
            "incomplete",
            "new-information",
            "request-of-the-person",
            "court-order",
            "system-change",
            "other",
            "not-stated",
        ]
    ] = Field(description="Why they were altered.")
    before: Personal[Narrative | None] = Field(default=None, description="What they said before.")
    after: Personal[Narrative | None] = Field(default=None, description="What they say now.")


class EventCorrected(EventData):
    """An entry of the same stream was a mistake, and how.

    The entry stays; what reads the log sets it off and shows both. Its id may be open because it
    names an entry of this very stream: it links nothing that the stream does not. An entry of
    another stream is never named here.
    """

    about: ClassVar[Declaration] = Declaration(
        type="event.corrected",
        family="case",
        description=(
            "An earlier entry of the same stream was a mistake, or should not have been. The "
            "entry stays as it is; what kind of mistake it was is sealed."
        ),
        duty="DPA 2018 s.38(1) and UK GDPR Art 5(1)(d) (accuracy)",
        stream_kinds=(
            "case",
            "party",
            "access",
            "restricted",
            "content",
            "agreement",
            "assessment",
            "hub",
            "oversight",
        ),
        example=Example(
            id="019c27fc-b9c0-779b-ac1f-b805d0b5d885",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-02-04T09:30:00Z",
            data={
                "corrected_event": EXAMPLE_DECLINED,
                "correction_class": "clerical",
                "reason": "Fictional: the offer was accepted; declined was entered by mistake.",
            },
        ),
    )

    corrected_event: Open[Uuid] = Field(
        description="Id of the earlier event, which is in this same stream."
    )
    correction_class: Coded[Literal["clerical", "misattributed", "duplicate", "unlawful"]] = Field(
        description=(
            "A slip; an entry about somebody else; the same act recorded twice; or an act that "
            "should not have been done."
        )
    )
    reason: Personal[Narrative | None] = Field(default=None, description="What was wrong.")

    def cross_check(self) -> Iterable[FieldError]:
        """Of what is sealed here no pack takes notice: what is about somebody else would be given
        to the person."""
        if self.correction_class == "misattributed":
            yield field_error(
                "correction_class",
                "is recorded as entry.misattributed, which keeps the entry out of packs",
            )
