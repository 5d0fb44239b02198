"""`/docs`: the OpenAPI document as a page, shown by Swagger UI from files kept here.

Guarantees: the page runs and loads nothing but its own files and talks to this service alone; its
policy says so to the browser. Swagger UI's files are as they came (api/static/swagger-ui).
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from aiohttp import web

from api.routing import Parameter, Reply, Route
from ledger.errors import NotFound

#: Swagger UI draws its arrows from `data:` images in its style; it needs no inline style or script.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HTML: Final = "text/html; charset=utf-8"
_CSS: Final = "text/css; charset=utf-8"
_JS: Final = "text/javascript; charset=utf-8"

#: What the page loads: by name, where it is kept under api/static, and as what it is sent.
ASSETS: Final[Mapping[str, tuple[str, str]]] = {
    "docs.css": ("docs", _CSS),
    "docs.js": ("docs", _JS),
    "swagger-ui.css": ("swagger-ui", _CSS),
    "swagger-ui-bundle.js": ("swagger-ui", _JS),
}


@cache
def _content(folder: str, name: str) -> bytes:
    return files("api").joinpath("static", folder, name).read_bytes()


async def page(request: web.Request) -> web.StreamResponse:
    """The page."""
    return _reply("docs", "index.html", _HTML, "no-cache")


async def asset(request: web.Request) -> web.StreamResponse:
    """A file of the page."""
    name = request.match_info["name"]
    if name not in ASSETS:
        raise NotFound
    folder, media_type = ASSETS[name]
    return _reply(folder, name, media_type, "public, max-age=3600")


def _reply(folder: str, name: str, media_type: str, kept: str) -> web.Response:
    headers = {
        "Content-Type": media_type,
        "Cache-Control": kept,
        "Content-Security-Policy": POLICY,
    }
    return web.Response(body=_content(folder, name), headers=headers)


ROUTES: Final = (
    Route(
        "GET",
        "/docs",
        page,
        "This document as a page",
        replies={200: Reply("A page", _HTML)},
    ),
    Route(
        "GET",
        "/docs/assets/{name}",
        asset,
        "A file of that page",
        parameters=(
            Parameter(
                "name",
                "path",
                "Name of the file",
                {"type": "string", "enum": sorted(ASSETS)},
                required=True,
            ),
        ),
        replies={200: Reply("The file", _CSS, others=(_JS,))},
        problems=("not-found",),
    ),
)
