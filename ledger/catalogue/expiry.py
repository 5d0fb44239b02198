"""Retention of the log itself: for how long its entries are kept, and the order to let them go.

An erasure removes what is sealed about a person; the open part of the entries stays. That part is
pseudonymous personal data too, and is not kept for ever: whole streams expire.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from ledger.catalogue.erasure import Trigger
from ledger.catalogue.fields import Attribution, Count, Date, Flag, Open, Uuid
from ledger.catalogue.model import Declaration, EventData, Example, ServiceFields, is_another
from ledger.errors import FieldError

_OVERSIGHT: Final = "oversight/6b0e5a52-6d0e-4c6b-8a53-0f1c7f1f9a3d"
_SHORTEST: Final = 1


class PolicyAdopted(EventData):
    """A controller sets for how long the log keeps the streams of one hub.

    It speaks for the streams of its own hub and organisation. Of several the one recorded last, of
    those that are in force, decides. A kind of stream without a period is kept for good; so are
    registers and what explains the rest of the log, which no policy speaks for.
    """

    class Added(ServiceFields):
        """Filled in by the service."""

        approver_is_not_requester: Open[Flag | None] = Field(
            description=(
                "Whether the approver is another person than the actor who recorded this; "
                "null when no approver was given."
            )
        )

    about: ClassVar[Declaration] = Declaration(
        type="policy.adopted",
        family="governance",
        description=(
            "A controller set for how many days the log keeps a stream after its last entry, by "
            "kind of stream, for the streams of its own hub and organisation."
        ),
        duty=(
            "DPA 2018 ss.39 and 42 (time limits; the retention policy of the appropriate policy "
            "document); UK GDPR Art 5(1)(e)"
        ),
        stream_kinds=("oversight",),
        requires_role=frozenset({"dpo"}),
        example=Example(
            id="019b8d62-7a80-7c11-8b5f-5d0b7a4e9c20",
            subject=_OVERSIGHT,
            time="2026-01-05T09:30:00Z",
            data={
                "policy": "log-retention",
                "effective_from": "2026-01-05",
                "case_days": 2557,
                "party_days": 2557,
                "restricted_days": 2557,
                "access_days": 2557,
                "content_days": 1096,
                "approver": "573231ef-8c00-41d8-9c08-3c345372f53f",
            },
        ),
    )

    policy: Open[Literal["log-retention"]] = Field(
        description="What the policy is about: the one matter this schema has."
    )
    effective_from: Open[Date] = Field(description="First day on which it is in force.")
    case_days: Open[Count | None] = Field(
        default=None, description="Days that a closed or erased case is kept; null: for good."
    )
    party_days: Open[Count | None] = Field(
        default=None, description="Days that a stream about another person is kept."
    )
    restricted_days: Open[Count | None] = Field(
        default=None, description="Days that a stream of what is withheld is kept."
    )
    access_days: Open[Count | None] = Field(
        default=None,
        description="Days that the record of who looked is kept, and never less than what they "
        "looked at.",
    )
    content_days: Open[Count | None] = Field(
        default=None, description="Days that a stream about a piece of content is kept."
    )
    approver: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of who approved it."
    )

    @classmethod
    def derive(cls, actor: str | None, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The requester is the actor of the envelope."""
        return {"approver_is_not_requester": is_another(data["approver"], actor)}

    def cross_check(self) -> Iterable[FieldError]:
        """A period is at least a day: without one, everything that ended would go at once."""
        periods = {
            "case_days": self.case_days,
            "party_days": self.party_days,
            "restricted_days": self.restricted_days,
            "access_days": self.access_days,
            "content_days": self.content_days,
        }
        return [
            FieldError(f"/data/{name}", "must be at least 1")
            for name, days in periods.items()
            if days is not None and days < _SHORTEST
        ]


class ExpiryOrdered(EventData):
    """Every stream that is due under the policy in force expires.

    To record it is to carry it out, as far as one transaction goes; what is left is for the next
    order. It names no stream and no kind: what it removed is in `stream.expired`, as positions in
    the log.
    """

    about: ClassVar[Declaration] = Declaration(
        type="expiry.ordered",
        family="governance",
        description=(
            "It was ordered that the streams of a hub and organisation that are due under the "
            "policy in force expire. Their entries and keys are destroyed; the hashes of the "
            "entries stay in the log."
        ),
        duty="DPA 2018 ss.39 and 62(1)(f) (erasure logs); UK GDPR Art 5(1)(e)",
        stream_kinds=("oversight",),
        occurred="instant",
        requires_role=frozenset({"dpo"}),
        example=Example(
            id="019e7826-50a0-7d0c-9a3e-1f2c8b6d4e70",
            subject=_OVERSIGHT,
            time="2026-05-30T09:15:00Z",
            data={
                "trigger": "scheduled",
                "executor": "22229d3c-ab6b-4eed-b393-64f8085f4bc0",
                "second_person": "6757d342-97d3-489b-951d-1f66d36173ae",
            },
        ),
    )

    trigger: Open[Trigger] = Field(description="Whether a schedule or a decision triggered it.")
    executor: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of who carried it out."
    )
    second_person: Attribution[Uuid | None] = Field(
        default=None, description="Staff reference of the second person present."
    )
