"""Destruction: what is recorded when, and after, a person's data is erased.

Nothing here has a Coded or a Personal field: it would be sealed about the person anew when the
person is erased. `findings.frozen` and `erasure.verified` are the ledger's own: no client records
them.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CASE, EXAMPLE_CLOSED_CASE
from ledger.catalogue.erasure import EXAMPLE_ORDER, ErasureExecuted, Trigger
from ledger.catalogue.errors import field_error
from ledger.catalogue.fields import (
    Attribution,
    Count,
    Line,
    Open,
    Organisation,
    Several,
    Uuid,
)
from ledger.catalogue.model import Declaration, EventData, Example, ServiceFields
from ledger.catalogue.rights import ABOUT_A_PERSON
from ledger.errors import FieldError

EXAMPLE_ERASURE = "019e7303-f620-7be7-a955-f39d03c8396e"

Checked = Literal[
    "key-absent",
    "sealed-rows-absent",
    "opening-refused",
    "files-searched",
    "tables-vacuumed",
]
Method = Literal["deleted", "key-destroyed", "media-destroyed", "paper-shredded", "returned"]
CopiesBand = Literal["0", "1", "2-19", "20-or-more"]


class ErasureExecutedOfOrder(EventData):
    """The personal data of a stream, or of some of its entries, is destroyed.

    One person's streams are erased together by one batch of these, which is recorded whole or not
    at all; no field of any of them names another's stream.
    """

    class Added(ServiceFields):
        """Filled in by the writer under the head lock."""

        key_ids: Open[Annotated[list[Uuid], Several()]] = Field(
            description="Ids of the keys to destroy."
        )
        through: Open[Count] = Field(
            description=(
                "Version of the stream up to which sealed fields are erased; 0 where only those "
                "of some entries are."
            )
        )
        versions: Open[Annotated[list[Count], Several()] | None] = Field(
            description="Versions of the entries whose sealed fields are erased; null for all."
        )

    about: ClassVar[Declaration] = Declaration(
        type="erasure.executed",
        schema=2,
        family="case",
        description=(
            "The personal data of a stream, or of some of its entries, was erased: the key and "
            "what was sealed under it are destroyed, what is kept of it is sealed anew, and the "
            "entries stay provable. The ledger refuses this while a legal hold or a request for "
            "access stands before it."
        ),
        duty=ErasureExecuted.about.duty,
        stream_kinds=ABOUT_A_PERSON,
        occurred="instant",
        requires_role=frozenset({"dpo"}),
        example=Example(
            id=EXAMPLE_ERASURE,
            subject=f"case/{EXAMPLE_CLOSED_CASE}",
            time="2026-05-29T09:15:00Z",
            data={
                "trigger": "scheduled",
                "ordered_event": EXAMPLE_ORDER,
                "erased_events": None,
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
    ordered_event: Open[Uuid | None] = Field(
        default=None,
        description=(
            "Id of the erasure.ordered that it carries out, which is in this same stream. Dual "
            "control is evidenced only by an order of another person with another credential."
        ),
    )
    erased_events: Open[Annotated[list[Uuid], Several(1)] | None] = Field(
        default=None,
        description="Ids of the events of this stream whose sealed fields go; null for all.",
    )
    method: Attribution[Literal["key-and-ciphertext-destroyed"]] = Field(
        description="How data is erased."
    )
    scope: Attribution[Literal["stream", "entries", "person"]] = Field(
        description="This stream, some of its entries, or one of all the person's streams."
    )
    executor: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of who carried it out."
    )
    second_person: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of the second person present."
    )

    def cross_check(self) -> Iterable[FieldError]:
        """Which entries are meant decides what is destroyed: it must not be in doubt."""
        if (self.scope == "entries") is (self.erased_events is None):
            wanted = self.scope == "entries"
            reason = (
                "is required where the scope is entries: the ids of what is to be erased"
                if wanted
                else "is taken where the scope is entries alone: leave it out"
            )
            yield field_error("erased_events", reason)


class FindingsFrozen(EventData):
    """What there was to find in a stream, before what it was found in is erased."""

    about: ClassVar[Declaration] = Declaration(
        type="findings.frozen",
        family="case",
        description=(
            "What the entries of a stream left open to question was noted, right before its data "
            "was erased. It holds nothing of the case. The ledger records it itself."
        ),
        duty="DPA 2018 s.34(3) and UK GDPR Art 5(2) (accountability)",
        stream_kinds=ABOUT_A_PERSON,
        service_alone=True,
        example=Example(
            id="019e7303-f610-7d3e-8a4b-5c6d7e8f9a07",
            subject=f"case/{EXAMPLE_CLOSED_CASE}",
            time="2026-05-29T09:15:00Z",
            data={"frozen_findings": ["never-informed"], "judged_through": 7},
        ),
    )

    frozen_findings: Open[
        Annotated[
            list[
                Literal[
                    "never-informed",
                    "support-not-offered",
                    "disclosure-unacknowledged",
                    "erasure-overdue",
                ]
            ],
            Several(),
        ]
    ] = Field(description="What was found in the open entries; may be empty.")
    judged_through: Open[Count] = Field(
        description="Version of the stream up to which entries were judged."
    )


class ErasureVerified(EventData):
    """The ledger looked again, after an erasure, and found nothing."""

    about: ClassVar[Declaration] = Declaration(
        type="erasure.verified",
        family="case",
        description=(
            "After an erasure the ledger looked for what it had erased, and found nothing of it. "
            "The ledger records it itself; without it there is no certificate."
        ),
        duty="DPA 2018 ss.47 and 56; UK GDPR Arts 5(2) and 17 (an erasure that can be shown)",
        stream_kinds=ABOUT_A_PERSON,
        occurred="instant",
        service_alone=True,
        example=Example(
            id="019e7304-0a00-7e4f-9b5c-6d7e8f9a0b08",
            subject=f"case/{EXAMPLE_CLOSED_CASE}",
            time="2026-05-29T09:15:05Z",
            data={
                "executed_event": EXAMPLE_ERASURE,
                "checked": ["key-absent", "sealed-rows-absent", "opening-refused"],
                "horizon_days": 35,
            },
        ),
    )

    executed_event: Open[Uuid] = Field(description="Id of the erasure.executed of this stream.")
    checked: Open[Annotated[list[Checked], Several(1)]] = Field(
        description=(
            "What was looked at: that the key is gone from the key store, and the sealed rows "
            "from the event store; that opening is refused; that the bytes are in no file of the "
            "data directory; or that tables were vacuumed."
        )
    )
    horizon_days: Open[Count] = Field(
        description="Days after the erasure for which a backup may still hold what was erased."
    )


class BackupHorizonPassed(EventData):
    """No backup holds the erased data any more."""

    about: ClassVar[Declaration] = Declaration(
        type="backup.horizon_passed",
        family="case",
        description=(
            "The declared horizon of the backups has passed since an erasure: none that holds what "
            "was erased is left. The ledger records it, or the data protection officer does."
        ),
        duty="DPA 2018 s.39 and 47; UK GDPR Arts 5(1)(e) and 17",
        stream_kinds=ABOUT_A_PERSON,
        requires_role=frozenset({"dpo"}),
        example=Example(
            id="019ea6ae-8000-7b5a-8c6d-7e8f9a0b1c09",
            subject=f"case/{EXAMPLE_CLOSED_CASE}",
            time="2026-06-30T09:00:00Z",
            data={"executed_event": EXAMPLE_ERASURE},
        ),
    )

    executed_event: Open[Uuid] = Field(description="Id of the erasure.executed of this stream.")


class SourceErasureRequested(EventData):
    """A system that the data came from is told to erase it."""

    about: ClassVar[Declaration] = Declaration(
        type="source_erasure.requested",
        family="case",
        description="A system that data about the person came from was told to erase it.",
        duty="DPA 2018 s.47; UK GDPR Art 17; ICO enforcement notice of 13 November 2018",
        stream_kinds=ABOUT_A_PERSON,
        example=Example(
            id="019e7350-1c00-7c6b-9d7e-8f9a0b1c2d10",
            subject=f"case/{EXAMPLE_CLOSED_CASE}",
            time="2026-05-29T10:38:00Z",
            data={
                "executed_event": EXAMPLE_ERASURE,
                "source_system": "lewisham-cases",
                "source_person": "Example Administrator",
            },
        ),
    )

    executed_event: Open[Uuid] = Field(description="Id of the erasure.executed of this stream.")
    source_system: Attribution[Organisation] = Field(description="Code of the system.")
    source_person: Attribution[Line | None] = Field(
        default=None, description="Who was told there, so far as known."
    )


class SourceErasureConfirmed(EventData):
    """A system that the data came from says that it has erased; the envelope's source is it."""

    about: ClassVar[Declaration] = Declaration(
        type="source_erasure.confirmed",
        family="case",
        description=(
            "The system that records this confirmed that it erased what it held about the person, "
            "and how many copies it found."
        ),
        duty="DPA 2018 s.47; UK GDPR Art 17; ICO enforcement notice of 13 November 2018",
        stream_kinds=ABOUT_A_PERSON,
        example=Example(
            id="019e787a-9800-7d7c-8e8f-9a0b1c2d3e11",
            subject=f"case/{EXAMPLE_CLOSED_CASE}",
            time="2026-05-30T10:42:00Z",
            data={
                "executed_event": EXAMPLE_ERASURE,
                "copies_found_band": "1",
                "method": "deleted",
            },
        ),
    )

    executed_event: Open[Uuid] = Field(description="Id of the erasure.executed of this stream.")
    copies_found_band: Open[CopiesBand] = Field(
        description="How many copies it found and erased: none, 1, 2 to 19, or 20 and more."
    )
    method: Attribution[Method] = Field(description="How it was erased.")


class DestructionConfirmed(EventData):
    """Whoever took sealed fields out of the ledger says that their copy is destroyed."""

    about: ClassVar[Declaration] = Declaration(
        type="destruction.confirmed",
        family="access",
        description=(
            "A copy with sealed fields that was taken out of the ledger was destroyed. It is "
            "recorded where the taking of it is."
        ),
        duty="DPA 2018 ss.39 and 47; UK GDPR Arts 5(1)(e) and 17",
        stream_kinds=("access",),
        example=Example(
            id="019e7da4-3c00-7e8d-9fa0-0b1c2d3e4f12",
            subject=f"access/{EXAMPLE_CASE}",
            time="2026-05-31T10:46:00Z",
            data={
                "export_event": "019c22ad-a010-7d8a-956e-ae47d20b52cf",
                "method": "deleted",
                "destroyed_by": "lewisham-council",
            },
        ),
    )

    export_event: Open[Uuid] = Field(
        description="Id of the event of this same stream that records the taking of the copy."
    )
    method: Attribution[Method] = Field(description="How it was destroyed.")
    destroyed_by: Attribution[Organisation] = Field(description="The organisation that held it.")
