"""What a type of event is: one pydantic model that carries its own declaration.

A family module adds a type by adding one class:

    class CaseClosed(EventData):
        about: ClassVar[Declaration] = Declaration(type="case.closed", schema=1, ...)

        erase_due: Open[Date] = Field(description="...")
        reason: Coded[CloseReason] = Field(description="...")

Guarantees of `describe`: every field has exactly one class and a description, every open field has
a kind that the log's registrations know, every code is well formed, and a type that recipients
submit carries an open recipient category. A declaration that breaks a rule raises CatalogueError
when the catalogue is loaded, so the service never starts with it.

Fields that the service fills in are a nested class `Added`. Where they come from:

- `derive` of the model class: pure, from the envelope's actor and the submitted fields
  (`approver_is_not_requester`);
- the application: who a recipient truly is (`TrueSubmitter`, added to every recipient type);
- the writer, under the head lock: what an erasure destroys (`key_ids`, `through`).

Application and writer hand `EventType.service_fields` the same mapping for every type; each type
takes from it what it declares.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ledger.catalogue.fields import Attribution, Organisation, Uuid
from ledger.errors import FieldError

Family = Literal["governance", "case", "access", "content", "oversight"]
FAMILIES: Final = ("governance", "case", "access", "content", "oversight")

#: Who a staff reference of the examples stands for is known to nobody: there is no such person.
EXAMPLE_ACTOR: Final = "b39b14e9-3624-46a0-962e-f27154ef6e27"


@dataclass(frozen=True, slots=True)
class Example:
    """A fictional event of the type: the parts of its CloudEvent that differ between examples."""

    id: str
    subject: str
    time: str
    data: Mapping[str, Any]
    hub: str = "E09000023"
    source: str = "lewisham-cases"
    organisation: str = "lewisham-council"
    actor: str = EXAMPLE_ACTOR
    regime: Literal["uk_gdpr", "dpa_part3"] = "uk_gdpr"

    def cloud_event(self, type_name: str, schema: int) -> dict[str, Any]:
        """The whole CloudEvent in structured mode, as it is posted."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": type_name,
            "schemaversion": schema,
            "subject": self.subject,
            "time": self.time,
            "datacontenttype": "application/json",
            "hub": self.hub,
            "organisation": self.organisation,
            "actor": self.actor,
            "regime": self.regime,
            "data": dict(self.data),
        }


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a type is, apart from its fields.

    `duty` names the law or promise the event is evidence for. `mark` is "log" for what section 62
    of the Data Protection Act 2018 logs, whose uses that section limits, else "record". `occurred`
    is the precision kept of the time of the act. `recipient` marks what a recipient of data submits
    to a stream of another hub or organisation. `requires_role` limits who may submit it; None
    leaves that to the scope of the credential. `service_alone` marks what the ledger records of
    itself and nobody submits; its example is what such an entry holds.
    """

    type: str
    family: Family
    description: str
    duty: str
    stream_kinds: tuple[str, ...]
    example: Example
    schema: int = 1
    mark: Literal["record", "log"] = "record"
    occurred: Literal["instant", "date"] = "date"
    recipient: bool = False
    requires_role: frozenset[str] | None = None
    service_alone: bool = False


class Strict(BaseModel):
    """A model that takes exactly what it declares, and whose errors repeat nothing."""

    # Built when it first validates something: most processes load the catalogue, and few validate.
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )


class ServiceFields(Strict):
    """Fields of a type that the service fills in; a client that sends one is refused."""


class TrueSubmitter(ServiceFields):
    """Who a recipient's entry is from: the open envelope holds its category alone."""

    true_source: Attribution[Organisation] = Field(
        description="The recipient's source system; duplicates are recognised by it."
    )
    true_organisation: Attribution[Organisation] = Field(description="The recipient.")
    true_actor: Attribution[Uuid | None] = Field(
        description="The recipient's staff reference, as its system claimed it."
    )
    true_submitted_by: Attribution[Uuid] = Field(
        description="Public id of the credential that posted it."
    )


class EventData(Strict):
    """Base of the `data` of every type of event."""

    about: ClassVar[Declaration]
    Added: ClassVar[type[ServiceFields]] = ServiceFields

    def cross_check(self) -> Iterable[FieldError]:
        """What is malformed between fields that are each well formed; conduct is no business of
        this method, because a ledger records unlawful acts too."""
        return ()

    @classmethod
    def derive(cls, actor: str | None, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Service-added fields that follow from the envelope's actor and the submitted fields,
        open and sealed together. Pure; evaluated by the application before sealing."""
        return {}


def is_another(one: str | None, other: str | None) -> bool | None:
    """Whether two staff references are of different people; None where either is not known."""
    return None if one is None or other is None else one != other


def declared_in(namespace: Mapping[str, Any], module: str) -> Sequence[type[EventData]]:
    """The types a family module declares, in the order it declares them."""
    return [
        value
        for value in namespace.values()
        if isinstance(value, type)
        and issubclass(value, EventData)
        and value.__module__ == module
        and "about" in vars(value)
    ]
