"""The OpenAPI 3.1 document, made from the route table: every route, every status, nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from api import problems
from api.routing import Parameter, Reply, Route
from api.schemas import components, ref
from ledger.catalogue import EventType

_TITLE: Final = "Hub Ledger"
_DESCRIPTION: Final = (
    "The audit and transparency ledger of a multi-agency hub. Errors are RFC 9457 problems whose "
    "types are stable and which never repeat a value that was sent."
)


def document(routes: Sequence[Route], event_types: Iterable[EventType], version: str) -> bytes:
    """The document as JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
    return orjson.dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": _TITLE,
                "version": version,
                "description": _DESCRIPTION,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": {
                "schemas": components(event_types),
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


def _operation(route: Route) -> dict[str, Any]:
    family = route.handler.__module__.rpartition(".")[2]
    operation: dict[str, Any] = {
        "operationId": f"{family}_{route.handler.__name__}",
        "tags": [family],
        "summary": route.summary,
        "security": [] if route.operation is None else [{"token": []}],
        "responses": _responses(route),
    }
    if route.description:
        operation["description"] = route.description
    if route.parameters:
        operation["parameters"] = [_parameter(item) for item in route.parameters]
    if route.body is not None:
        operation["requestBody"] = route.body
    return operation


def _parameter(item: Parameter) -> dict[str, Any]:
    return {
        "name": item.name,
        "in": item.where,
        "description": item.description,
        "required": item.required,
        "schema": item.schema,
    }


def _responses(route: Route) -> dict[str, Any]:
    responses = {str(status): _reply(reply) for status, reply in sorted(route.replies.items())}
    by_status: dict[int, list[str]] = {}
    for slug in route.all_problems:
        by_status.setdefault(problems.PROBLEMS[slug].status, []).append(slug)
    for status, slugs in sorted(by_status.items()):
        # A status that the route also answers with something else (readiness) keeps that.
        responses.setdefault(str(status), _problem(slugs))
    return responses


def _reply(reply: Reply) -> dict[str, Any]:
    media: Mapping[str, Any] = {} if reply.schema is None else {"schema": reply.schema}
    content = dict.fromkeys((reply.media_type, *reply.others), media)
    return {"description": reply.description, "content": content}


def _problem(slugs: Sequence[str]) -> dict[str, Any]:
    titles = "; ".join(f"{slug}: {problems.PROBLEMS[slug].title}" for slug in slugs)
    response: dict[str, Any] = {
        "description": titles,
        "content": {problems.MEDIA_TYPE: {"schema": ref("Problem")}},
    }
    if any(problems.PROBLEMS[slug].retry_after is not None for slug in slugs):
        response["headers"] = {
            "Retry-After": {
                "description": "Seconds to wait before trying again",
                "schema": {"type": "integer"},
            }
        }
    return response
