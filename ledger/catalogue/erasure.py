"""Erasure: the act of a controller, recorded so that nothing of what it erased is in the record."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ledger.catalogue.case import EXAMPLE_CLOSED_CASE
from ledger.catalogue.fields import Attribution, Count, Open, Several, Uuid
from ledger.catalogue.model import Declaration, EventData, Example, ServiceFields


class ErasureExecuted(EventData):
    """The subject key of a stream, and everything sealed under it, is destroyed.

    The type has no Coded and no Personal field: they would be sealed under the key that it
    destroys. What ordered the erasure is in `erasure.ordered`.
    """

    class Added(ServiceFields):
        """Filled in by the writer under the head lock (DESIGN.md section 7)."""

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

    trigger: Open[Literal["scheduled", "ordered"]] = Field(
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
