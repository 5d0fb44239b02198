"""`/healthz`, `/readyz` and the page at `/`."""

from typing import Final

from aiohttp import web

from api.door import LEDGER
from api.replies import json_reply
from api.routing import Reply, Route
from api.schemas import ref

_NO_STORE: Final = {"Cache-Control": "no-store"}
_RETRY: Final = {"Retry-After": "5", **_NO_STORE}
#: What of the ledger's status is for everybody: sizes, which can be read off checkpoints, and how
#: far the read models have followed.
_PUBLIC: Final = ("tree_size", "published_size", "projected_size")

_PAGE: Final = """\
<!doctype html>
<html lang="en-GB">
<meta charset="utf-8">
<title>Hub Ledger</title>
<h1>Hub Ledger</h1>
<p>The audit and transparency ledger of a multi-agency hub. Every act is one entry in a signed,
hash-chained log that anyone with a trust policy can check with the program ledger-verify.</p>
<ul>
<li><a href="/checkpoint">The newest published checkpoint</a></li>
<li><a href="/v1/event-types">What may be recorded</a></li>
<li><a href="/docs">This API, described</a>, or <a href="/v1/openapi.json">as an OpenAPI 3.1
document</a></li>
<li><a href="/readyz">Whether the service is ready</a></li>
</ul>
</html>
"""


async def alive(request: web.Request) -> web.StreamResponse:
    """The process answers. Says nothing of the log: that is `/readyz`."""
    return json_reply({"status": "ok"}, headers=_NO_STORE)


async def ready(request: web.Request) -> web.StreamResponse:
    """Whether events can be recorded now."""
    ledger = request.app[LEDGER]
    status = await ledger.status()
    good = bool(status.get("ready")) and not ledger.closed.done()
    body = {"ready": good, **{name: status[name] for name in _PUBLIC if name in status}}
    return json_reply(body, 200 if good else 503, _NO_STORE if good else _RETRY)


async def index(request: web.Request) -> web.StreamResponse:
    """What this is and where to go on."""
    return web.Response(text=_PAGE, content_type="text/html", headers={"Cache-Control": "no-cache"})


ROUTES: Final = (
    Route(
        "GET",
        "/healthz",
        alive,
        "Whether the process answers",
        replies={200: Reply("It does", schema={"type": "object"})},
    ),
    Route(
        "GET",
        "/readyz",
        ready,
        "Whether events can be recorded now",
        replies={
            200: Reply("They can", schema=ref("Readiness")),
            503: Reply("They cannot", schema=ref("Readiness")),
        },
    ),
    Route(
        "GET",
        "/",
        index,
        "What this is and where to go on",
        replies={200: Reply("A page", "text/html; charset=utf-8")},
    ),
)
