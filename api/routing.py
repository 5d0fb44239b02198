"""The route table: one declaration of each route builds the router and the OpenAPI document.

Guarantees: a route that is not public answers nobody without a good bearer token (401) and nobody
whose role lacks its operation (403) before it looks at anything else of the request, so neither
reply says what exists.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from api.door import CREDENTIAL, LEDGER
from ledger.access import Operation, check_operation
from ledger.errors import Unauthenticated

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

JSON: Final = "application/json"
_TOKEN = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/=-]{1,512})")
_PATTERN = re.compile(r"\{(\w+):[^{}]*\}")
#: Problems any route may answer with; each route lists its own besides.
_ALWAYS: Final = ("expectation-failed", "internal-error")
_GUARDED: Final = ("unauthenticated", "forbidden")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A path, query or header parameter, as OpenAPI describes it."""

    name: str
    where: str
    description: str
    schema: Mapping[str, Any]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that is not a problem. `schema` is JSON Schema, None where the bytes are not JSON.
    `others` are further media types that it may have."""

    description: str
    media_type: str = JSON
    schema: Mapping[str, Any] | None = None
    others: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `operation` None makes it public; `body` is OpenAPI's `requestBody`.

    `path` is aiohttp's, a parameter perhaps with a pattern: `/tile/{level}/{index:.+}`.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    replies: Mapping[int, Reply]
    operation: Operation | None = None
    description: str = ""
    parameters: Sequence[Parameter] = ()
    body: Mapping[str, Any] | None = None
    problems: Sequence[str] = field(default=())

    @property
    def template(self) -> str:
        """The path as OpenAPI writes it, without patterns."""
        return _PATTERN.sub(r"{\1}", self.path)

    @property
    def all_problems(self) -> tuple[str, ...]:
        """Every problem this route may answer with."""
        guarded = _GUARDED if self.operation is not None else ()
        return tuple(dict.fromkeys((*guarded, *self.problems, *_ALWAYS)))


def add_routes(app: web.Application, routes: Sequence[Route]) -> None:
    """Put the table into the router. A GET route answers HEAD as well."""
    for route in routes:
        handler = route.handler if route.operation is None else _guarded(route)
        if route.method == "GET":
            app.router.add_get(route.path, handler, allow_head=True)
        else:
            app.router.add_route(route.method, route.path, handler)


def _guarded(route: Route) -> Handler:
    operation = route.operation
    assert operation is not None

    async def handle(request: web.Request) -> web.StreamResponse:
        values = request.headers.getall("Authorization", [])
        match = _TOKEN.fullmatch(values[0]) if len(values) == 1 else None
        if match is None:
            raise Unauthenticated("Send a token: Authorization: Bearer <token>.")
        credential = await request.app[LEDGER].authenticate(match[1])
        if credential is None:
            raise Unauthenticated("The token is not known, has ended or was revoked.")
        check_operation(credential, operation)
        request[CREDENTIAL] = credential
        return await route.handler(request)

    return handle
