"""The catalogue of event types: what may be recorded, and which class every field has.

`CATALOGUE` is the one instance. Adding a type is adding one class to a family module; adding a
family is adding its module to `FAMILY_MODULES`, in whose order (and then in the order of the
classes) types are listed, registered and their examples can be posted.

`ledger.opened`, `schema.registered`, `sealed.lost` and `stream.expired` belong to the format, are
written by the service alone, and are not here (`RESERVED`). Types declared `service_alone` are
registered like any other, and nobody may submit them.
"""

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Final

from ledger.catalogue import (
    access,
    accuracy,
    assurance,
    case,
    content,
    correction,
    custody,
    destruction,
    erasure,
    expiry,
    governance,
    informing,
    joint,
    person,
    rights,
    sharing,
    staff,
    support,
)
from ledger.catalogue.event_type import EventType, describe
from ledger.catalogue.fields import CatalogueError, FieldClass
from ledger.catalogue.model import Declaration, EventData, Example, ServiceFields, declared_in
from ledger_verifier.meaning.schemas import RESERVED_TYPES

__all__ = [
    "CATALOGUE",
    "RESERVED",
    "Catalogue",
    "CatalogueError",
    "Declaration",
    "EventData",
    "EventType",
    "Example",
    "FieldClass",
    "ServiceFields",
    "describe",
]

RESERVED: Final = RESERVED_TYPES

FAMILY_MODULES: Final[Sequence[ModuleType]] = (
    assurance,
    governance,
    case,
    support,
    informing,
    sharing,
    access,
    content,
    correction,
    accuracy,
    joint,
    rights,
    person,
    erasure,
    custody,
    destruction,
    expiry,
    staff,
)


class Catalogue:
    """A set of event types, each at one or more schemas."""

    def __init__(self, event_types: Iterable[EventType]) -> None:
        self._known: dict[tuple[str, int], EventType] = {}
        self._newest: dict[str, EventType] = {}
        for event_type in event_types:
            key = (event_type.type, event_type.schema)
            if event_type.type in RESERVED or key in self._known:
                raise CatalogueError(f"{event_type.type}: reserved, or declared twice")
            self._known[key] = event_type
            newest = self._newest.get(event_type.type)
            if newest is None or newest.schema < event_type.schema:
                self._newest[event_type.type] = event_type

    @classmethod
    def of_modules(cls, modules: Iterable[ModuleType]) -> "Catalogue":
        """The types declared in these modules, in their order."""
        return cls(
            describe(model)
            for module in modules
            for model in declared_in(vars(module), module.__name__)
        )

    def types(self) -> tuple[EventType, ...]:
        """The newest schema of every type a client may submit, in posting order."""
        return tuple(one for one in self._newest.values() if not one.service_alone)

    def service_types(self) -> tuple[EventType, ...]:
        """The newest schema of every type that the service alone records."""
        return tuple(one for one in self._newest.values() if one.service_alone)

    def get(self, type_name: str, schema: int | None = None) -> EventType | None:
        """The type at that schema, or at its newest for None; None when there is no such one."""
        if schema is None:
            return self._newest.get(type_name)
        return self._known.get((type_name, schema))

    def registrations(self) -> list[EventType]:
        """Every (type, schema) that a ledger registers before its first use, in order."""
        return list(self._known.values())


CATALOGUE: Final = Catalogue.of_modules(FAMILY_MODULES)
