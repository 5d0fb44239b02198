"""`/v1/expiry`: what is due to expire, in counts. To have it expire, `expiry.ordered` is posted."""

from typing import Final

from aiohttp import web

from api.door import CREDENTIAL, LEDGER
from api.parameters import Query
from api.replies import json_reply
from api.routing import Parameter, Reply, Route
from api.schemas import CODE_PATTERN, HUB_PATTERN, ref
from ledger.access import Operation
from ledger_verifier.formats.entry import is_code, is_hub


async def due(request: web.Request) -> web.StreamResponse:
    """Counts by kind of stream, and never an id."""
    query = Query(request, ("hub", "organisation"))
    hub, organisation = query.text("hub") or "", query.text("organisation") or ""
    if not is_hub(hub):
        query.fault("hub", "must be an ONS borough code or central")
    if not is_code(organisation):
        query.fault("organisation", "must be an organisation code")
    query.check()
    return json_reply(await request.app[LEDGER].due(request[CREDENTIAL], hub, organisation))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/expiry",
        due,
        "Count the streams that are due to expire",
        description="What an expiry.ordered of this hub and organisation would remove, over one "
        "order or several, and how many streams wait, for which reason.",
        operation=Operation.SEE_DUE,
        parameters=(
            Parameter(
                "hub",
                "query",
                "The hub whose streams are asked about",
                {"type": "string", "pattern": HUB_PATTERN},
                required=True,
            ),
            Parameter(
                "organisation",
                "query",
                "The organisation whose streams they are",
                {"type": "string", "pattern": CODE_PATTERN},
                required=True,
            ),
        ),
        replies={200: Reply("Counts by kind of stream", schema=ref("Expiry"))},
        problems=(
            "invalid-request",
            "out-of-scope",
            "no-policy",
            "busy",
            "vault-unavailable",
        ),
    ),
)
