"""Events and credentials for the tests of HTTP: fictional, and made from the catalogue's own
examples."""

import copy
import uuid
from datetime import UTC, datetime
from typing import Any

from ledger.access import Credential, Role
from ledger.catalogue import CATALOGUE

HUB = "E09000023"
OTHER_HUB = "E09000011"
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
#: Something no problem may ever repeat.
SECRET = "Aaliyah Example, 14 Nowhere Road"


def example(type_name: str = "case.closed", **changes: Any) -> dict[str, Any]:
    """The catalogue's example of a type, with attributes replaced, or left out where None."""
    event_type = CATALOGUE.get(type_name, None)
    assert event_type is not None
    event = copy.deepcopy(event_type.example)
    for name, value in changes.items():
        if value is None:
            event.pop(name, None)
        else:
            event[name] = value
    return event


def fresh(type_name: str = "case.closed", **changes: Any) -> dict[str, Any]:
    """An example under a new id."""
    return example(type_name, id=str(uuid.uuid4()), **changes)


def credential(role: Role = Role.SUBMITTER, **changes: Any) -> Credential:
    """A credential of Lewisham's; `all=True` for one without bounds."""
    values: dict[str, Any] = {
        "public_id": str(uuid.uuid4()),
        "role": role,
        "all": False,
        "organisation": "lewisham-council",
        "hubs": frozenset({HUB}),
        "sources": frozenset({"lewisham-cases"}),
        "machine": False,
        "not_after": None,
    }
    if changes.get("all"):
        values.update(organisation=None, hubs=frozenset(), sources=frozenset())
    return Credential(**{**values, **changes})
