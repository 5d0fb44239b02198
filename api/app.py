"""The application: the route table, the problems, and the headers that every reply carries.

Guarantees: no reply leaves without the security headers below; nothing under `/v1` is stored by
any cache, nor is any refusal; the server does not name its software.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

from aiohttp import web

from api import openapi
from api.body import BATCH_LIMIT
from api.cloudevents import Parser
from api.door import LEDGER, Door
from api.problems import problem_middleware
from api.routes import ROUTES
from api.routes.describe import EVENT_TYPES, OPENAPI, event_types_document
from api.routes.events import PARSER
from api.routing import add_routes
from ledger.catalogue import CATALOGUE

_CSP: Final = "Content-Security-Policy"
#: The index page has no script, style, image or form, so a browser need load nothing. `/docs` has
#: a policy of its own.
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    _CSP: ("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    "Server": "hub-ledger",
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


def build_app(ledger: Door, *, now: Callable[[], datetime] = _utc_now) -> web.Application:
    """The application over an open ledger. `now` is the clock against which events that claim to
    be from the future are refused."""
    app = web.Application(middlewares=[problem_middleware], client_max_size=BATCH_LIMIT)
    app[LEDGER] = ledger
    app[PARSER] = Parser(CATALOGUE, now)
    app[EVENT_TYPES] = event_types_document()
    app[OPENAPI] = openapi.document(ROUTES, CATALOGUE.types(), version("hub-ledger"))
    add_routes(app, ROUTES)
    app.on_response_prepare.append(_finish)
    return app


async def _finish(request: web.Request, response: web.StreamResponse) -> None:
    own = response.headers.get(_CSP)
    response.headers.update(SECURITY_HEADERS)
    if own is not None:
        response.headers[_CSP] = own
    if request.path.startswith("/v1/") or response.status >= 400:
        response.headers["Cache-Control"] = "no-store"
