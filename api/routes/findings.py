"""`/v1/findings`: what is open to question about the ledger as a whole."""

from typing import Final

from aiohttp import web

from api.door import CREDENTIAL, LEDGER
from api.parameters import Query
from api.replies import json_reply
from api.routing import Reply, Route
from api.schemas import ref
from ledger.access import Operation


async def standing(request: web.Request) -> web.StreamResponse:
    """Findings of today on the registers; about nobody."""
    Query(request, ()).check()
    return json_reply(await request.app[LEDGER].findings(request[CREDENTIAL]))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/findings",
        standing,
        "What is open to question about the ledger itself",
        description="Whether a data protection impact assessment, an arrangement between the "
        "controllers, an appropriate policy document and an equality impact assessment are in "
        "force for the ledger's own processing, as the registers in the log say today.",
        operation=Operation.SEE_FINDINGS,
        replies={200: Reply("Findings; an empty list when there are none", schema=ref("Findings"))},
        problems=("invalid-request", "busy"),
    ),
)
