"""`/v1/cases`: the state of cases, now or at an earlier tree size, and certificates of erasure."""

from typing import Final

from aiohttp import web

from api.door import CREDENTIAL, LEDGER
from api.parameters import MAX_SIZE, Query, actor_of, path_uuid
from api.replies import bytes_reply, json_reply
from api.routes.entries import ACTOR_PARAMETER, RECORDING
from api.routing import Parameter, Reply, Route
from api.schemas import ref
from ledger.access import Operation
from ledger_verifier.formats.certificate import FORMS
from ledger_verifier.formats.entry import is_uuid

LIST_LIMIT: Final = 500
_LIST_DEFAULT: Final = 100


async def cases(request: web.Request) -> web.StreamResponse:
    """A page of the cases that the caller may read."""
    query = Query(request, ("after", "limit"))
    after = query.text("after")
    if after is not None and not is_uuid(after):
        query.fault("after", "must be the next_after of the page before")
    limit = query.number("limit", 1, LIST_LIMIT)
    query.check()
    items, next_after = await request.app[LEDGER].cases(
        request[CREDENTIAL], after, _LIST_DEFAULT if limit is None else limit
    )
    return json_reply({"items": [dict(item) for item in items], "next_after": next_after})


async def case(request: web.Request) -> web.StreamResponse:
    """The state of one case."""
    query = Query(request, ("at",))
    at = query.number("at", 0, MAX_SIZE)
    query.check()
    case_id = path_uuid(request, "id")
    actor = actor_of(request)
    state = await request.app[LEDGER].case(request[CREDENTIAL], case_id, actor, at)
    return json_reply(dict(state))


async def erasure_certificate(request: web.Request) -> web.StreamResponse:
    """The certificate of one case's erasure. Its file name says nothing of the case."""
    query = Query(request, ("form",))
    form = query.text("form") or "controller"
    if form not in FORMS:
        query.fault("form", "must be controller or subject")
    query.check()
    case_id = path_uuid(request, "id")
    actor = actor_of(request)
    raw = await request.app[LEDGER].erasure_certificate(request[CREDENTIAL], case_id, actor, form)
    return bytes_reply(
        raw,
        "application/zip",
        {"Content-Disposition": 'attachment; filename="erasure.certificate"'},
    )


CASE_ID: Final = Parameter("id", "path", "Id of the case's stream", ref("Uuid"), required=True)

ROUTES: Final = (
    Route(
        "GET",
        "/v1/cases",
        cases,
        "List cases",
        operation=Operation.READ_CASES,
        parameters=(
            Parameter("after", "query", "The next_after of the page before", ref("Uuid")),
            Parameter(
                "limit",
                "query",
                "Most cases to return",
                {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": LIST_LIMIT,
                    "default": _LIST_DEFAULT,
                },
            ),
        ),
        replies={200: Reply("A page of cases", schema=ref("CaseList"))},
        problems=("invalid-request",),
    ),
    Route(
        "GET",
        "/v1/cases/{id}",
        case,
        "Read the state of a case; the reading is recorded first",
        operation=Operation.READ_CASES,
        parameters=(
            CASE_ID,
            ACTOR_PARAMETER,
            Parameter(
                "at",
                "query",
                "A tree size: the state as it was when the log had so many entries",
                {"type": "integer", "minimum": 0, "maximum": MAX_SIZE},
            ),
        ),
        replies={200: Reply("The state of the case", schema=ref("Case"))},
        problems=("invalid-request", "actor-required", "not-found", "expired", *RECORDING),
    ),
    Route(
        "GET",
        "/v1/cases/{id}/erasure-certificate",
        erasure_certificate,
        "Take the certificate of a case's erasure; the reading is recorded first",
        description=(
            "Signed by the log's key and checked offline with `ledger-verify certificate`. The "
            "subject's form names nobody, and is what a rights officer may take."
        ),
        operation=Operation.CERTIFY,
        parameters=(
            CASE_ID,
            ACTOR_PARAMETER,
            Parameter(
                "form",
                "query",
                "For the controller, or for the person",
                {"enum": list(FORMS), "default": "controller"},
            ),
        ),
        replies={200: Reply("An erasure certificate (docs/formats.md)", "application/zip")},
        problems=(
            "invalid-request",
            "actor-required",
            "not-found",
            "erasure-not-verified",
            *RECORDING,
        ),
    ),
)
