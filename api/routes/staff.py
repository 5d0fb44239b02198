"""`/v1/staff`: staff references are registered by hubs' systems, and opened by two people together.

There is no way to list them, and none from a name or a number to a reference.
"""

from typing import Any, Final

from aiohttp import web

from api.body import read_body
from api.door import CREDENTIAL, LEDGER
from api.parameters import Query, actor_given, actor_of, chosen_uuid, path_uuid, purpose_of
from api.problems import UnsupportedMediaType
from api.replies import json_reply
from api.routes.entries import LOG_PURPOSE_PARAMETER, READER_PARAMETER, RECORDING
from api.routing import JSON, Parameter, Reply, Route
from api.schemas import ref
from api.strict_json import loads
from ledger.access import Operation
from ledger.errors import TooLarge

#: Largest body: what it may hold is far smaller.
BODY_LIMIT: Final = 16 * 1024


async def register(request: web.Request) -> web.StreamResponse:
    """Register a reference that the hub's system made at random."""
    Query(request).check()
    reference, actor = chosen_uuid(request, "reference"), actor_given(request)
    body = await _body(request)
    done = await request.app[LEDGER].register_staff(request[CREDENTIAL], reference, body, actor)
    return json_reply(done.to_json(), 201 if done.created else 200)


async def ask(request: web.Request) -> web.StreamResponse:
    """The first person asks."""
    Query(request).check()
    reference, actor, purpose = _who(request)
    body = await _body(request)
    waits = await request.app[LEDGER].request_staff(
        request[CREDENTIAL], reference, body, actor, purpose
    )
    return json_reply({"opening": waits.opening, "expires_at": waits.expires_at}, 202)


async def confirm(request: web.Request) -> web.StreamResponse:
    """The second person asks for the same, and is told."""
    Query(request).check()
    reference, actor, purpose = _who(request)
    opening = path_uuid(request, "opening")
    body = await _body(request)
    told = await request.app[LEDGER].confirm_staff(
        request[CREDENTIAL], reference, opening, body, actor, purpose
    )
    return json_reply(dict(told))


def _who(request: web.Request) -> tuple[str, str | None, str | None]:
    return path_uuid(request, "reference"), actor_of(request), purpose_of(request)


async def _body(request: web.Request) -> object:
    if request.content_type != JSON:
        raise UnsupportedMediaType("Send the body as application/json.")
    try:
        raw = await read_body(request, BODY_LIMIT)
    except TooLarge as error:
        detail = f"The body is at most {BODY_LIMIT // 1024} KiB; nothing was recorded."
        raise TooLarge(detail, extra=error.extra) from None
    value: object = loads(raw)
    return value


_REFERENCE: Final = Parameter(
    "reference",
    "path",
    "The staff reference, as entries have it as actor",
    ref("Uuid"),
    required=True,
)
_PERSON: Final = Parameter(
    "Actor", "header", "Staff reference of the person who asks", ref("Uuid"), required=True
)
_PURPOSE: Final = Parameter(
    LOG_PURPOSE_PARAMETER.name,
    "header",
    "For which use of section 62(4) it is asked: s62-4-a, s62-4-b, s62-4-c or s62-4-d",
    ref("Code"),
    required=True,
)
_BODIES: Final = (
    "malformed-json",
    "invalid-request",
    "request-timeout",
    "too-large",
    "unsupported-media-type",
)
_ASKING: Final = (
    *_BODIES,
    "actor-required",
    "purpose-required",
    "not-found",
    "expired",
    *RECORDING,
)


def _sent(name: str) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": ref(name)}}}


ROUTES: Final = (
    Route(
        "PUT",
        "/v1/staff/{reference}",
        register,
        "Register a staff reference; the registering is recorded",
        description=(
            "The reference is a UUID that the hub's system made at random, for one person of one "
            "organisation and for a year. The same again, by the same token, has the same answer. "
            "Who it is cannot be looked up by name, and is told to nobody but to two people "
            "together."
        ),
        operation=Operation.REGISTER_STAFF,
        parameters=(_REFERENCE, READER_PARAMETER),
        body=_sent("StaffRegistration"),
        replies={
            200: Reply("Registered before, as this", schema=ref("StaffReference")),
            201: Reply("Registered", schema=ref("StaffReference")),
        },
        problems=(
            *_BODIES,
            "out-of-scope",
            "not-found",
            "duplicate-conflict",
            "expired",
            *RECORDING,
        ),
    ),
    Route(
        "POST",
        "/v1/staff/{reference}/openings",
        ask,
        "Ask, as the first of two people, who is behind a staff reference",
        description=(
            "Recorded, and opens nothing. It waits for 24 hours for a second person with a token "
            "of their own, to whom the id in the reply is given by other means."
        ),
        operation=Operation.OPEN_STAFF,
        parameters=(_REFERENCE, _PERSON, _PURPOSE),
        body=_sent("StaffOpening"),
        replies={202: Reply("It waits for a second person", schema=ref("StaffOpeningWaits"))},
        problems=_ASKING,
    ),
    Route(
        "POST",
        "/v1/staff/{reference}/openings/{opening}",
        confirm,
        "Ask, as the second of two people, and be told; recorded first",
        description="Every answer is recorded, a repeated one again.",
        operation=Operation.OPEN_STAFF,
        parameters=(
            _REFERENCE,
            Parameter(
                "opening", "path", "Id of the first person's request", ref("Uuid"), required=True
            ),
            _PERSON,
            _PURPOSE,
        ),
        body=_sent("StaffOpening"),
        replies={200: Reply("Who it is", schema=ref("StaffIdentity"))},
        problems=(*_ASKING, "second-person-required", "opening-not-waiting"),
    ),
)
