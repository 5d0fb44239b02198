"""Components of the OpenAPI document: JSON Schemas (2020-12) of what goes in and what comes out.

The data of each type of event is described by the catalogue's own schema, so that the document
cannot say anything else than what is held against an event.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from api.body import BATCH_EVENTS
from api.problems import URN
from ledger.catalogue import EventType
from ledger.catalogue.bodies import body_schema
from ledger.catalogue.staff import StaffOpening, StaffRegistration
from ledger.retention import KINDS, Waits
from ledger_verifier.formats.entry import REGIMES
from ledger_verifier.meaning.assurance import NEEDED, NOT_COVERED, REVIEW_OVERDUE

UUID_PATTERN: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
CODE_PATTERN: Final = "^[a-z0-9-]{2,40}$"
HUB_PATTERN: Final = "^(E[0-9]{8}|central)$"
INSTANT_PATTERN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"
HEX_PATTERN: Final = "^[0-9a-f]{64}$"
_INTEGER: Final = {"type": "integer", "minimum": 0}
#: An attribute that a header carried arrives as a decimal string.
_CE_INTEGER: Final = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+$"}]}

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Mapping[str, Any], optional: Iterable[str] = (), **more: Any) -> Schema:
    left_out = set(optional)
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in left_out],
        **more,
    }


def _array(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _text(pattern: str, description: str | None = None) -> Schema:
    schema: Schema = {"type": "string", "pattern": pattern}
    return schema if description is None else {**schema, "description": description}


def data_component(event_type: EventType) -> str:
    """The name of the component that describes the data of a type."""
    return f"{event_type.type}.v{event_type.schema}"


def components(event_types: Iterable[EventType]) -> dict[str, Schema]:
    """Every component, by name."""
    known = list(event_types)
    return {
        "Uuid": _text(UUID_PATTERN, "A lower-case UUID of version 4 or 7"),
        "Code": _text(CODE_PATTERN),
        "Hub": _text(HUB_PATTERN, "The ONS code of a borough, or central"),
        "Instant": _text(INSTANT_PATTERN, "UTC, in milliseconds"),
        "Hash": _text(HEX_PATTERN, "SHA-256 in lower-case hexadecimal"),
        **_submitted(known),
        **_recorded(),
        **_read(),
        **_staff(),
        "Problem": _problem(),
    }


def _submitted(known: list[EventType]) -> dict[str, Schema]:
    return {
        "CloudEvent": _cloud_event(known),
        "CloudEventBatch": _array(ref("CloudEvent"), maxItems=BATCH_EVENTS),
        **{data_component(item): item.json_schema for item in known},
        "EventTypes": _object({"types": _array(_event_type())}),
    }


def _cloud_event(known: list[EventType]) -> Schema:
    subject = f"^[a-z]+/{UUID_PATTERN[1:]}"
    required = {
        "specversion": {"const": "1.0"},
        "id": {**ref("Uuid"), "description": "Given by the sender; a retry sends it again"},
        "source": {**ref("Code"), "description": "The sending system, as the token has it"},
        "type": {"enum": [item.type for item in known]},
        "subject": _text(subject, "Kind and id of the stream: case/<uuid>"),
        "time": {
            "type": "string",
            "format": "date-time",
            "description": "When it happened, with an offset",
        },
        "regime": {"enum": sorted(REGIMES)},
        "data": {"type": "object"},
    }
    optional = {
        "hub": {**ref("Hub"), "description": "Default: the token's, where it has but one"},
        "organisation": {**ref("Code"), "description": "Default: the token's"},
        "actor": {
            **ref("Uuid"),
            "description": (
                "Staff reference of who acted. Required, save for types that recipients submit."
            ),
        },
        "expectedversion": {
            **_CE_INTEGER,
            "description": "The stream's version before this event; 0: it must not exist",
        },
        "schemaversion": {**_CE_INTEGER, "description": "Default: the newest"},
        "datacontenttype": {"type": "string", "description": "application/json"},
    }
    by_type = [
        {
            "if": {"properties": {"type": {"const": item.type}}},
            "then": {"properties": {"data": ref(data_component(item))}},
        }
        for item in known
    ]
    return _object(
        {**required, **optional}, optional=optional, additionalProperties=False, allOf=by_type
    )


def _event_type() -> Schema:
    return _object(
        {
            "type": {"type": "string"},
            "schema": {"type": "integer", "minimum": 1},
            "family": {"type": "string"},
            "description": {"type": "string"},
            "duty": {"type": "string"},
            "json_schema": {"type": "object"},
            "fields": {
                "type": "object",
                "additionalProperties": {"enum": ["open", "coded", "personal", "attribution"]},
            },
            "service_added": _array({"type": "string"}),
            "example": ref("CloudEvent"),
        }
    )


def _recorded() -> dict[str, Schema]:
    return {
        "Recorded": _object(
            {
                "position": _INTEGER,
                "leaf_hash": ref("Hash"),
                "stream": _object(
                    {
                        "kind": {"type": "string"},
                        "id": ref("Uuid"),
                        "version": {"type": "integer", "minimum": 1},
                    }
                ),
                "recorded_at": ref("Instant"),
                "receipt": {"type": "string", "description": "A tlog-proof"},
                "findings": {
                    "type": ["array", "null"],
                    "items": {"type": "object"},
                    "description": "What the sender can still put right; null: not yet judged",
                },
            }
        ),
        "RecordReply": {
            "anyOf": [
                ref("Recorded"),
                _object({"items": _array(ref("Recorded"))}, description="For a batch"),
            ]
        },
    }


def _sealed() -> Schema:
    day = {"type": ["string", "null"]}
    gone = {
        **_array({"type": "string"}),
        "description": "Fields that the token may open, and that were erased or are declared lost",
    }
    contest = {
        "event": ref("Uuid"),
        "contested_on": {"type": "string"},
        "decision_due": day,
        "disputed_until": day,
        "decided_event": {"type": ["string", "null"], "description": "The newest decision"},
        "decided_on": day,
        "gone": gone,
        "statement": {"type": ["string", "null"], "description": "What the person says of it"},
        "outcome": {"type": "string", "description": "What was decided"},
        "right_value": {"type": ["string", "null"], "description": "What is right"},
        "untold": {
            **_array(ref("Uuid")),
            "description": "Shares whose recipients are owed word of the decision",
        },
    }
    correction = {"event": ref("Uuid"), "type": {"type": "string"}, "corrected_on": day}
    return _object(
        {
            "position": _INTEGER,
            "fields": {"type": "object"},
            "gone": gone,
            "disputed": {"type": "boolean", "description": "Contested, and not decided"},
            "contests": _array(
                _object(
                    contest,
                    optional=("statement", "outcome", "right_value", "untold"),
                    description="What is sealed of it as far as the token may open it",
                )
            ),
            "corrections": _array(
                _object(correction, description="An event that names this one a mistake")
            ),
        }
    )


def _read() -> dict[str, Schema]:
    entry = _object({"format": {"const": "hub-ledger/entry@v1"}}, description="docs/formats.md")
    return {
        "Entry": entry,
        "Feed": _object(
            {
                "items": _array(_object({"position": _INTEGER, "entry": ref("Entry")})),
                "next_after": {"type": "integer", "minimum": -1},
                "tree_size": _INTEGER,
            }
        ),
        "Sealed": _sealed(),
        "Case": {"type": "object", "description": "The state of a case, from its open entries"},
        "CaseList": _object(
            {
                "items": _array(
                    _object(
                        {
                            "stream": {"type": "string"},
                            "hub": {"type": "string"},
                            "status": {"type": "string"},
                        }
                    )
                ),
                "next_after": {"type": ["string", "null"]},
            }
        ),
        "Readiness": _object(
            {
                "ready": {"type": "boolean"},
                "tree_size": _INTEGER,
                "published_size": _INTEGER,
                "projected_size": _INTEGER,
            },
            optional=("tree_size", "published_size", "projected_size"),
        ),
        "Findings": _findings(),
        "Expiry": _object(
            {
                "entries": _INTEGER,
                "kinds": _object(
                    {
                        kind: _object(
                            {
                                "due": _INTEGER,
                                "waiting": _object(
                                    {why.value: _INTEGER for why in Waits},
                                    optional=[why.value for why in Waits],
                                ),
                            }
                        )
                        for kind in KINDS
                    }
                ),
            }
        ),
    }


def _findings() -> Schema:
    day = {"type": "string", "format": "date"}
    finding = _object(
        {
            "rule": {"enum": [NOT_COVERED, REVIEW_OVERDUE]},
            "severity": {"enum": ["critical", "medium"]},
            "as_of": day,
            "documents": _array({"enum": list(NEEDED)}),
            "law": _array({"type": "string"}),
            "says": {"type": "string"},
        },
        description="An indication for a person to weigh, not a determination of breach",
    )
    return _object({"tree_size": _INTEGER, "as_of": day, "items": _array(finding)})


def _staff() -> dict[str, Schema]:
    day = {"type": "string", "format": "date"}
    known = {"reference": ref("Uuid"), "organisation": ref("Code"), "from": day, "until": day}
    text = {"type": "string"}
    return {
        "StaffRegistration": body_schema(StaffRegistration),
        "StaffOpening": body_schema(StaffOpening),
        "StaffReference": _object(known),
        "StaffOpeningWaits": _object({"opening": ref("Uuid"), "expires_at": ref("Instant")}),
        "StaffIdentity": _object({**known, "name": text, "staff_number": text, "position": text}),
    }


def _problem() -> Schema:
    return _object(
        {
            "type": _text(f"^{URN}[a-z-]+$", "Stable: docs/problems.md"),
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": _array(
                _object(
                    {
                        "pointer": {
                            "type": "string",
                            "description": (
                                "JSON pointer into the body (in a batch after the event's index), "
                                "?name for a query parameter, or a header's name"
                            ),
                        },
                        "detail": {"type": "string"},
                    }
                )
            ),
            "errors_omitted": _INTEGER,
            "limit": {
                **_INTEGER,
                "description": "too-large: the limit, in bytes, or in events where it is 1,000",
            },
            "current_version": {
                **_INTEGER,
                "description": "version-conflict: the stream's version, for who may read it",
            },
            "reason": {
                "enum": ["court-order", "legal-hold", "access-request"],
                "description": "erasure-barred: what stands before the erasure",
            },
            "tree_size": {
                **_INTEGER,
                "description": "invalid-request, where ?at is more than it",
            },
            "published_before": {
                **_INTEGER,
                "description": "invalid-request, where no checkpoint was published of the size "
                "?at: the next smaller size that one was published of",
            },
            "published_after": {
                **_INTEGER,
                "description": "the next larger one",
            },
        },
        optional=(
            "errors",
            "errors_omitted",
            "limit",
            "current_version",
            "reason",
            "tree_size",
            "published_before",
            "published_after",
        ),
        description="RFC 9457",
    )
