"""Joint files: other people in a case, two cases of one person, and a case of two people.

One case is one person. Anybody else stands in its texts as [P1], [P2], and in a stream of their
own, of the kind `party`, under keys of its own, so that either can be erased without the other.
Which streams belong together is sealed wherever it is said, and the ids of others' cases are in
nobody's own pack: no open field links two cases.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CASE, EXAMPLE_CLOSED_CASE
from ledger.catalogue.codes import Purpose
from ledger.catalogue.fields import (
    Address,
    Coded,
    Count,
    Date,
    Flag,
    Line,
    Narrative,
    Open,
    Personal,
    Several,
    Sha256,
    Uuid,
)
from ledger.catalogue.model import Declaration, EventData, Example, ServiceFields
from ledger.catalogue.support import EXAMPLE_DECLINED

EXAMPLE_PARTY = "5d3f1c86-0b52-4a0e-9a57-1c2b3d4e5f60"
#: The case that the example of cases.merged opens.
EXAMPLE_MERGED_CASE = "7a1d9e34-6b2c-4f85-8e3d-2f4a6b8c0d1e"

#: How many cases one merge may name, and how many entries one split may.
MOST_CASES = 8
MOST_MOVED = 200


class PartyRecorded(EventData):
    """Somebody else than the person has a part in a case."""

    about: ClassVar[Declaration] = Declaration(
        type="party.recorded",
        family="case",
        description=(
            "Somebody who has a part in another person's case was recorded: who they are, in a "
            "stream of their own. In which case, and as which [P1], is sealed, and not in their "
            "pack."
        ),
        duty="DPA 2018 ss.37 and 38(3); UK GDPR Art 5(1)(c) and (d) (minimal, and kept apart)",
        stream_kinds=("party",),
        example=Example(
            id="019bb1d0-5c80-7a3e-9b1c-2d3e4f5a6b71",
            subject=f"party/{EXAMPLE_PARTY}",
            time="2026-01-12T10:45:00Z",
            data={
                "in_case": EXAMPLE_CASE,
                "in_case_as": 1,
                "relation": "family",
                "name": "Example Person Two",
                "detail": "Fictional: the aunt they live with.",
            },
        ),
    )

    in_case: Coded[Uuid] = Field(description="Id of the case.")
    in_case_as: Coded[Count] = Field(description="1 for who stands in that case's texts as [P1].")
    relation: Coded[
        Literal["family", "victim", "witness", "associate", "professional", "referrer", "other"]
    ] = Field(description="What part they have in it.")
    name: Personal[Line | None] = Field(default=None, description="Name.")
    date_of_birth: Personal[Date | None] = Field(default=None, description="Date of birth.")
    contact: Personal[Address | None] = Field(default=None, description="How they are reached.")
    detail: Personal[Narrative | None] = Field(default=None, description="What else is known.")


class CasesMerged(EventData):
    """Cases turned out to be of one person, and go on as one."""

    class Added(ServiceFields):
        """Filled in by the service, from the cases that are named."""

        merged_heads: Coded[Annotated[list[Sha256], Several(1, MOST_CASES)]] = Field(
            description="The link hash of the last entry of each of those cases, in their order."
        )
        victim_with_suspect: Coded[Flag | None] = Field(
            description=(
                "Whether one of the cases that go on here is a victim's and another a suspect's or "
                "that of somebody convicted, by what was last said in each; null where it cannot "
                "be told any more."
            )
        )

    about: ClassVar[Declaration] = Declaration(
        type="cases.merged",
        family="case",
        description=(
            "Closed cases that turned out to be of one person go on in this stream, which it "
            "opens. Which cases they are, and at which entries they ended, is sealed; nothing in "
            "the open joins them."
        ),
        duty="DPA 2018 ss.38(1) and (3), 62(1)(e) (combination); UK GDPR Art 5(1)(d) (accuracy)",
        stream_kinds=("case",),
        # Two people's lives may become one by mistake.
        requires_role=frozenset({"coordinator", "dpo"}),
        example=Example(
            id="019d48f2-1c40-7b6d-8e2f-3a4b5c6d7e81",
            subject=f"case/{EXAMPLE_MERGED_CASE}",
            time="2026-04-01T12:30:00Z",
            data={
                "purpose": "support",
                "review_due": "2026-07-01",
                "merged_cases": [EXAMPLE_CLOSED_CASE],
                "matched_by": ["identity-document"],
                "reasons": "Fictional: one young person, referred by two schools.",
            },
        ),
    )

    purpose: Open[Purpose] = Field(description="Why the case goes on.")
    review_due: Open[Date | None] = Field(
        default=None, description="Day the case must be reviewed by; null where none was set."
    )
    merged_cases: Coded[Annotated[list[Uuid], Several(1, MOST_CASES)]] = Field(
        description=(
            "Ids of the cases, each closed, of this hub and organisation: at first two or more, "
            "then any that turns out to be the same person's later."
        )
    )
    matched_by: Coded[
        Annotated[
            list[Literal["identity-document", "told-by-the-person", "known-to-worker", "records"]],
            Several(1, 4),
        ]
    ] = Field(description="What shows that they are of one person.")
    reasons: Personal[Narrative | None] = Field(default=None, description="What was found.")


class CaseSplit(EventData):
    """A case turned out to be of several people: which entries are another's, and whose."""

    about: ClassVar[Declaration] = Declaration(
        type="case.split",
        family="case",
        description=(
            "Entries of this stream are about somebody else than the one that it stays with, and "
            "go to that one's case. They count no longer towards the state, and the person's packs "
            "open nothing of them, nor of this. What they seal is to be recorded there, and erased "
            "in this stream. Where a case is of more than two people, one for each of the others."
        ),
        duty="DPA 2018 ss.38(1) and 46; UK GDPR Arts 5(1)(d) and 16 (accuracy)",
        stream_kinds=("case",),
        # It takes something out of what the person is given.
        requires_role=frozenset({"coordinator", "dpo"}),
        example=Example(
            id="019cfb3d-8880-7d5c-9a4e-5b6c7d8e9f91",
            subject=f"case/{EXAMPLE_CASE}",
            time="2026-03-17T10:00:00Z",
            data={
                "moved_events": [EXAMPLE_DECLINED],
                "moved_to": EXAMPLE_CLOSED_CASE,
                "reason": "Fictional: two brothers were recorded as one.",
            },
        ),
    )

    moved_events: Open[Annotated[list[Uuid], Several(1, MOST_MOVED)]] = Field(
        description="Ids of the earlier events, which are in this same stream."
    )
    moved_to: Coded[Uuid] = Field(
        description="Id of the case where they belong, of this hub and organisation."
    )
    reason: Personal[Narrative | None] = Field(default=None, description="What was wrong.")
