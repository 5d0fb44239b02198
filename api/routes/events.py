"""`/v1/events`: recording events, and the feed of entries by position."""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from aiohttp import web

from api import cloudevents
from api.body import BATCH_EVENTS, BATCH_LIMIT, EVENT_LIMIT, read_body
from api.door import CREDENTIAL, LEDGER
from api.parameters import Query, actor_given, purpose_of
from api.replies import json_reply
from api.routes.entries import LOG_PURPOSE_PARAMETER, READER_PARAMETER, RECORDING
from api.routing import Parameter, Reply, Route
from api.schemas import ref
from ledger.access import Credential, Operation, check_record
from ledger.catalogue import CATALOGUE, RESERVED
from ledger.errors import FieldError, Forbidden, Invalid, LedgerError, OutOfScope
from ledger.submission import Recorded
from ledger_verifier.formats.entry import is_hub, is_type_name

PARSER: Final = web.AppKey("parser", cloudevents.Parser)

FEED_LIMIT: Final = 1000
_FEED_DEFAULT: Final = 100
_FEED_TYPES: Final = 64
_MAX_POSITION: Final = 2**53 - 1


async def record(request: web.Request) -> web.StreamResponse:
    """Record one event or a batch: all of it or nothing."""
    credential = request[CREDENTIAL]
    headers = list(request.headers.items())
    mode = cloudevents.mode_of(headers)
    body = await read_body(
        request,
        BATCH_LIMIT if mode is cloudevents.Mode.BATCH else EVENT_LIMIT,
        array_limit=BATCH_LIMIT if mode is cloudevents.Mode.JSON else None,
    )
    parser = request.app[PARSER]
    asked = parser.parse(mode, headers, body, credential)
    _check_scope(credential, asked)
    try:
        done = await _record(request, credential, asked)
    except Invalid:
        # The ledger names the faults of the first bad event; a sender is owed those of all.
        parser.parse(mode, headers, body, credential, whole=True)
        raise
    items = [_recorded(result) for result in done]
    status = 201 if any(result.created for result in done) else 200
    return json_reply({"items": items} if asked.batch else items[0], status)


async def _record(
    request: web.Request, credential: Credential, asked: cloudevents.Request
) -> Sequence[Recorded]:
    # An empty batch is a batch (CloudEvents JSON batch format), and asks for nothing.
    if not asked.submissions:
        return []
    try:
        return await request.app[LEDGER].record(credential, asked.submissions)
    except LedgerError as error:
        # The ledger is given events, not requests: of one alone it names no index.
        if asked.batch and len(asked.submissions) == 1:
            error.fields = tuple(cloudevents.under(0, error.fields))
        raise


def _check_scope(credential: Credential, asked: cloudevents.Request) -> None:
    """Raise Forbidden for the first event that the role may not record, and OutOfScope for all
    members of all events that the token is not bound to."""
    out: list[FieldError] = []
    detail = ""
    for index, submission in enumerate(asked.submissions):
        event_type = CATALOGUE.get(submission.type, submission.schema)
        assert event_type is not None
        try:
            check_record(credential, submission, event_type)
        except (Forbidden, OutOfScope) as error:
            if asked.batch:
                error.fields = tuple(cloudevents.under(index, error.fields))
            if isinstance(error, Forbidden):
                raise
            detail = error.detail
            out.extend(error.fields)
    if out:
        raise OutOfScope(detail, out)


def _recorded(result: Recorded) -> dict[str, Any]:
    return {
        "position": result.position,
        "leaf_hash": result.leaf_hash.hex(),
        "stream": {
            "kind": result.stream.kind,
            "id": result.stream.id,
            "version": result.version,
        },
        "recorded_at": result.recorded_at,
        "receipt": result.receipt,
        "findings": [],
    }


async def feed(request: web.Request) -> web.StreamResponse:
    """Entries past a position, in the order of the log."""
    query = Query(request, ("after", "types", "hub", "limit"))
    after = query.number("after", -1, _MAX_POSITION)
    limit = query.number("limit", 1, FEED_LIMIT)
    types = _types(query)
    hub = query.text("hub")
    if hub is not None and not is_hub(hub):
        query.fault("hub", "must be E and eight digits, or central")
    query.check()
    entries, next_after, tree_size = await request.app[LEDGER].feed(
        request[CREDENTIAL],
        after=-1 if after is None else after,
        limit=_FEED_DEFAULT if limit is None else limit,
        types=types,
        hub=hub,
        actor=actor_given(request),
        purpose=purpose_of(request),
    )
    return json_reply(
        {
            "items": [
                # The entry's own bytes, not a copy made of its members: cut out, they hash.
                {"position": position, "entry": orjson.Fragment(raw)}
                for position, raw in entries
            ],
            "next_after": next_after,
            "tree_size": tree_size,
        }
    )


def _types(query: Query) -> frozenset[str] | None:
    text = query.text("types")
    if text is None:
        return None
    names = frozenset(text.split(","))
    known = all(
        is_type_name(name) and (name in RESERVED or CATALOGUE.get(name, None) is not None)
        for name in names
    )
    if len(names) > _FEED_TYPES or not known:
        query.fault("types", "must be types of GET /v1/event-types, separated by commas")
    return names


ROUTES: Final = (
    Route(
        "POST",
        "/v1/events",
        record,
        "Record one event or a batch",
        description=(
            "One CloudEvents 1.0 event, structured or binary, or a batch, which is recorded whole "
            "or not at all. When the reply comes the events are durable entries of the log. A "
            "retry (the same source and id, with the same content) records nothing and has the "
            f"first answer again. One event is at most {EVENT_LIMIT} bytes; a batch at most "
            f"{BATCH_EVENTS} events and {BATCH_LIMIT} bytes."
        ),
        operation=Operation.RECORD,
        body={
            "required": True,
            "content": {
                "application/cloudevents+json": {
                    "schema": ref("CloudEvent"),
                    "examples": {item.type: {"value": item.example} for item in CATALOGUE.types()},
                },
                "application/cloudevents-batch+json": {"schema": ref("CloudEventBatch")},
                "application/json": {
                    "schema": {
                        "description": (
                            "An event, a batch, or, with the attributes in ce- headers, the data "
                            "of an event."
                        ),
                        "anyOf": [ref("CloudEvent"), ref("CloudEventBatch"), {"type": "object"}],
                    }
                },
            },
        },
        replies={
            200: Reply("A retry: what was recorded before", schema=ref("RecordReply")),
            201: Reply("Recorded", schema=ref("RecordReply")),
        },
        problems=(
            "malformed-json",
            "invalid-event",
            "invalid-request",
            "out-of-scope",
            "reserved-type",
            "not-found",
            "request-timeout",
            "duplicate-conflict",
            "version-conflict",
            "no-such-share",
            "nothing-to-erase",
            "erasure-barred",
            "no-policy",
            "expired",
            "too-large",
            "unsupported-media-type",
            "busy",
            "writer-lost",
            "vault-unavailable",
            "erasure-pending",
        ),
    ),
    Route(
        "GET",
        "/v1/events",
        feed,
        "Read entries in the order of the log",
        description=(
            "Entries that the token may read, from the one after `after`. Go on with "
            "`after=<next_after>` until `next_after + 1` has reached `tree_size`; a page before "
            "that may be empty. For an auditor it ends before what waits for the end of the month. "
            "The reading is recorded first, once an hour for each credential."
        ),
        operation=Operation.READ_ENTRIES,
        parameters=(
            Parameter(
                "after",
                "query",
                "Position after which to begin; -1, the default, for the first",
                {"type": "integer", "minimum": -1, "maximum": _MAX_POSITION, "default": -1},
            ),
            Parameter("types", "query", "Types of event, separated by commas", {"type": "string"}),
            Parameter(
                "hub",
                "query",
                "One hub alone",
                {"type": "string", "pattern": "^(E[0-9]{8}|central)$"},
            ),
            Parameter(
                "limit",
                "query",
                "Most entries to return",
                {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": FEED_LIMIT,
                    "default": _FEED_DEFAULT,
                },
            ),
            READER_PARAMETER,
            LOG_PURPOSE_PARAMETER,
        ),
        replies={200: Reply("A page of entries", schema=ref("Feed"))},
        problems=("invalid-request", "purpose-required", *RECORDING),
    ),
)
