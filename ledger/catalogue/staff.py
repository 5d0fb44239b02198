"""Staff references: that one was registered, and that somebody asked, and was told, whose it is.

An entry names its actor by a random reference. Who that is stands in the staff map, which the log
does not hold. Of that map these entries hold what must outlast a doubt: that a reference is known
and until when it is used; and each of the two steps by which two people open it. Recorded by the
service alone, in the access stream of the reference.
"""

from typing import ClassVar, Final, Literal

from pydantic import Field

from ledger.catalogue.access import LogPurpose
from ledger.catalogue.fields import Attribution, Date, Line, Open, Organisation, Sha256, Uuid
from ledger.catalogue.model import Declaration, EventData, Example, Strict

Power = Literal[
    "controllers-own-monitoring",
    "controllers-security",
    "data-protection-act-2018",
    "police-reform-act-2002",
    "police-conduct-regulations-2020",
    "police-act-1996-s54",
    "police-reform-and-social-responsibility-act-2011",
    "criminal-procedure-and-investigations-act-1996",
    "court-order",
    "other-statute",
]
"""Under which power the staff map is opened: a controller's own (DPA 2018 s.62(4)(b) and (c)), or
an enactment that gives a body the power to ask."""

_REFERENCE: Final = "access/4a1c9b1e-7d0f-4b7e-9a51-0c5f2e8d6b33"
_REQUEST: Final = "019c7f10-4a80-7b3e-8c1d-2f5a9e7b4c60"


class StaffIdentity(Strict):
    """Who a reference stands for, as the hub's system knows them."""

    name: Line = Field(description="Name, as the organisation has it.")
    staff_number: Line = Field(description="Staff, collar or payroll number.")
    position: Line = Field(description="Rank or post, at the time of the registration.")


class StaffRegistration(StaffIdentity):
    """What a hub's system sends to register a reference."""

    organisation: Organisation | None = Field(
        default=None, description="Whose staff it is; left out for the token's own organisation."
    )


class StaffOpening(Strict):
    """What each of the two people says who open the staff map."""

    body: Organisation = Field(description="Code of the body that the person asks for.")
    power: Power = Field(description="The power under which it asks.")


class StaffRegistered(EventData):
    """A staff reference is in the staff map; the stream is `access/R` for the reference R."""

    about: ClassVar[Declaration] = Declaration(
        type="staff.registered",
        family="access",
        description=(
            "A hub's system registered a staff reference that it made at random: the envelope "
            "names the organisation, the staff map holds who it is. A reference is used for a "
            "year, and then there is a new one."
        ),
        duty="DPA 2018 s.62(2) and (3) (the identity of who consulted or disclosed)",
        stream_kinds=("access",),
        service_alone=True,
        example=Example(
            id="019b8db9-6d00-7e59-9c0b-5d3f1a2b7c84",
            subject=_REFERENCE,
            time="2026-01-05T11:05:00Z",
            hub="central",
            source="hub-ledger",
            data={"until": "2027-01-05", "identity_sha256": "3d" * 32},
        ),
    )

    until: Open[Date] = Field(description="Last day on which the reference is used.")
    identity_sha256: Attribution[Sha256] = Field(
        description=(
            "SHA-256 over what the staff map holds of it, which begins with a random salt: "
            "whoever changes the map is found out."
        )
    )


class StaffOpeningRequested(EventData):
    """The first of two people asks who is behind a reference; nothing is opened by it."""

    about: ClassVar[Declaration] = Declaration(
        type="staff_opening.requested",
        family="access",
        description=(
            "Somebody asked who is behind a staff reference. It opens nothing: within a day a "
            "second person, with a credential of their own, has to ask for the same."
        ),
        duty="DPA 2018 s.62(4) (the uses of the log)",
        mark="log",
        stream_kinds=("access",),
        occurred="instant",
        service_alone=True,
        example=Example(
            id=_REQUEST,
            subject=_REFERENCE,
            time="2026-03-02T09:40:00Z",
            hub="central",
            source="hub-ledger",
            data={
                "log_purpose": "s62-4-b",
                "power": "police-conduct-regulations-2020",
                "body": "met-professional-standards",
            },
        ),
    )

    log_purpose: Open[LogPurpose] = Field(description="For which use of section 62(4).")
    power: Open[Power] = Field(description="Under which power.")
    body: Attribution[Organisation] = Field(description="For which body.")


class StaffOpeningConfirmed(StaffOpeningRequested):
    """The second person asks for the same, and is told."""

    about: ClassVar[Declaration] = Declaration(
        type="staff_opening.confirmed",
        family="access",
        description=(
            "A second person, another than the one who asked first and with another credential, "
            "was told who is behind a staff reference."
        ),
        duty="DPA 2018 s.62(4) (the uses of the log)",
        mark="log",
        stream_kinds=("access",),
        occurred="instant",
        service_alone=True,
        example=Example(
            id="019c7f1c-0a20-7d16-b5a2-6b8c0d4e9f71",
            subject=_REFERENCE,
            time="2026-03-02T09:52:00Z",
            hub="central",
            source="hub-ledger",
            actor="573231ef-8c00-41d8-9c08-3c345372f53f",
            data={
                "request_event": _REQUEST,
                "log_purpose": "s62-4-b",
                "power": "police-conduct-regulations-2020",
                "body": "met-professional-standards",
            },
        ),
    )

    request_event: Open[Uuid] = Field(description="Id of the first person's request.")
