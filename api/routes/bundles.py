"""`.../bundle`: the evidence bundles of streams about people, and packs of them."""

from typing import Final

from aiohttp import web

from api.door import CREDENTIAL, LEDGER
from api.parameters import MAX_SIZE, Query, actor_of, path_uuid, purpose_of, reason_of
from api.replies import bytes_reply
from api.routes.cases import CASE_ID
from api.routes.entries import ACTOR_PARAMETER, PURPOSE_PARAMETER, REASON_PARAMETER, RECORDING
from api.routing import Parameter, Reply, Route
from api.schemas import ref
from ledger.access import PERSONAL_KINDS, Operation
from ledger.errors import NotFound
from ledger_verifier.formats.cover import WORDS
from ledger_verifier.formats.entry import StreamRef

AUDIENCES: Final = tuple(WORDS)


async def case_bundle(request: web.Request) -> web.StreamResponse:
    """The evidence bundle of one case."""
    return await _bundle(request, "case")


async def stream_bundle(request: web.Request) -> web.StreamResponse:
    """The evidence bundle of one stream of any kind that is about people."""
    kind = request.match_info["kind"]
    if kind not in PERSONAL_KINDS:
        raise NotFound
    return await _bundle(request, kind)


async def _bundle(request: web.Request, kind: str) -> web.StreamResponse:
    """A bundle or a pack. Its file name says nothing of the stream."""
    query = Query(request, ("for", "recipient", "expires", "at"))
    audience, at = query.text("for"), query.number("at", 0, MAX_SIZE)
    if audience is None:
        for name in ("recipient", "expires"):
            if query.text(name) is not None:
                query.fault(name, "goes with for")
    elif audience not in AUDIENCES:
        query.fault("for", f"must be one of {', '.join(AUDIENCES)}")
    query.check()
    raw = await request.app[LEDGER].bundle(
        request[CREDENTIAL],
        StreamRef(kind, path_uuid(request, "id")),
        audience,
        at=at,
        recipient=query.text("recipient"),
        expires_on=query.text("expires"),
        actor=actor_of(request),
        purpose=purpose_of(request),
        reason=reason_of(request),
    )
    return bytes_reply(
        raw, "application/zip", {"Content-Disposition": 'attachment; filename="bundle.zip"'}
    )


DESCRIPTION: Final = (
    "With a purpose, the disclosures that the caller may open are in it. With `for` it is a pack: "
    "what such a reader may be given, and a signed cover that says for whom, for what and until "
    "when (docs/formats.md, Packs). With `at` it is made against the checkpoint published of that "
    "size, and holds what the stream had then: bundles with one `at` hold the same entries and "
    "proofs, byte for byte."
)
_PARAMETERS: Final = (
    Parameter(
        "for",
        "query",
        "Make a pack for this kind of reader, under a signed cover",
        {"enum": list(AUDIENCES)},
    ),
    Parameter(
        "recipient",
        "query",
        "With for=auditor or inspector: code of the organisation it is for",
        ref("Code"),
    ),
    Parameter(
        "expires",
        "query",
        "With for: the day by which it is to be destroyed; by default in 90 days",
        {"type": "string", "format": "date"},
    ),
    Parameter(
        "at",
        "query",
        "The size of a published checkpoint to make it against, and up to; the newest unless given",
        {"type": "integer", "minimum": 0, "maximum": MAX_SIZE},
    ),
    ACTOR_PARAMETER,
    PURPOSE_PARAMETER,
    REASON_PARAMETER,
)
_PROBLEMS: Final = (
    "invalid-request",
    "actor-required",
    "purpose-required",
    "reason-required",
    "not-found",
    "expired",
    *RECORDING,
)

ROUTES: Final = (
    Route(
        "GET",
        "/v1/cases/{id}/bundle",
        case_bundle,
        "Take a case's evidence bundle; the reading is recorded first",
        description=DESCRIPTION,
        operation=Operation.READ_CASES,
        parameters=(CASE_ID, *_PARAMETERS),
        replies={200: Reply("A bundle of one stream (docs/formats.md)", "application/zip")},
        problems=_PROBLEMS,
    ),
    Route(
        "GET",
        "/v1/streams/{kind}/{id}/bundle",
        stream_bundle,
        "Take the evidence bundle of a stream about people; the reading is recorded first",
        description=DESCRIPTION,
        operation=Operation.READ_STREAMS,
        parameters=(
            Parameter(
                "kind",
                "path",
                "Kind of the stream",
                {"enum": sorted(PERSONAL_KINDS)},
                required=True,
            ),
            Parameter("id", "path", "Id of the stream", ref("Uuid"), required=True),
            *_PARAMETERS,
        ),
        replies={200: Reply("A bundle of one stream (docs/formats.md)", "application/zip")},
        problems=_PROBLEMS,
    ),
)
