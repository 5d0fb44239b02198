"""Submissions and credentials for tests: the catalogue's own examples, varied."""

from typing import Any
from uuid import uuid4

from api.rfc3339 import normalise
from ledger.access import Credential, Role
from ledger.catalogue import CATALOGUE
from ledger.submission import Submission
from ledger_verifier.formats.entry import StreamRef

LEWISHAM = "E09000023"


def credential(role: Role = Role.SUBMITTER, **changes: Any) -> Credential:
    """A credential made with --all, unless bound by `changes`."""
    values: dict[str, Any] = {
        "public_id": str(uuid4()),
        "role": role,
        "all": True,
        "organisation": None,
        "hubs": frozenset(),
        "sources": frozenset(),
        "machine": False,
        "not_after": None,
    }
    return Credential(**{**values, **changes})


def example(type_name: str) -> Submission:
    """The catalogue's example of a type, as it would be parsed."""
    event_type = CATALOGUE.get(type_name)
    assert event_type is not None
    event = event_type.example
    return Submission(
        id=event["id"],
        source=event["source"],
        type=type_name,
        schema=event["schemaversion"],
        stream=StreamRef.parse(event["subject"]),
        time=normalise(event["time"]),
        hub=event["hub"],
        organisation=event["organisation"],
        actor=event["actor"],
        regime=event["regime"],
        expected_version=None,
        data=event["data"],
    )


def act(type_name: str, stream: StreamRef | None = None, **changes: Any) -> Submission:
    """A new event of a type: fresh id, and a fresh stream unless one is given."""
    base = example(type_name)
    values: dict[str, Any] = {name: getattr(base, name) for name in Submission.__dataclass_fields__}
    values["id"] = str(uuid4())
    values["stream"] = stream or StreamRef(base.stream.kind, str(uuid4()))
    if type_name == "erasure.executed":
        # The order of the example is of the example's stream.
        values["data"] = {**base.data, "ordered_event": None}
    return Submission(**{**values, **changes})


def identified(stream: StreamRef | None = None, **changes: Any) -> Submission:
    """A new identification."""
    return act("subject.identified", stream, **changes)
