"""Self-description: the event types and the OpenAPI document. Public: they hold no record."""

from typing import Any, Final

import orjson
from aiohttp import web

from api.replies import json_reply
from api.routing import Reply, Route
from api.schemas import ref
from ledger.catalogue import CATALOGUE

EVENT_TYPES: Final = web.AppKey("event_types", bytes)
OPENAPI: Final = web.AppKey("openapi", bytes)


def event_types_document() -> bytes:
    """The published list of types, in an order in which their examples may be posted. `fields`
    has every field of an entry; those in `service_added` are refused from clients."""
    types: list[dict[str, Any]] = [
        {
            "type": item.type,
            "schema": item.schema,
            "family": item.family,
            "description": item.description,
            "duty": item.duty,
            "json_schema": item.json_schema,
            "fields": dict(item.fields),
            "service_added": sorted(item.service_added),
            "example": item.example,
        }
        for item in CATALOGUE.types()
    ]
    return orjson.dumps({"types": types})


async def event_types(request: web.Request) -> web.StreamResponse:
    """What may be recorded."""
    return json_reply(request.app[EVENT_TYPES])


async def openapi(request: web.Request) -> web.StreamResponse:
    """This API, described."""
    return json_reply(request.app[OPENAPI])


ROUTES: Final = (
    Route(
        "GET",
        "/v1/event-types",
        event_types,
        "List the types of event, their schemas and an example of each",
        replies={200: Reply("The types", schema=ref("EventTypes"))},
    ),
    Route(
        "GET",
        "/v1/openapi.json",
        openapi,
        "This document",
        replies={200: Reply("An OpenAPI 3.1 document", schema={"type": "object"})},
    ),
)
