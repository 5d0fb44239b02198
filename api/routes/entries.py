"""`/v1/entries/{position}`: an entry's bytes, its receipt, its sealed fields."""

from typing import Final

from aiohttp import web

from api.door import CREDENTIAL, LEDGER
from api.parameters import (
    ACTOR,
    PURPOSE,
    REASON,
    Query,
    actor_given,
    actor_of,
    path_number,
    purpose_of,
    reason_of,
)
from api.replies import bytes_reply, json_reply, text_reply
from api.routing import Parameter, Reply, Route
from api.schemas import ref
from ledger.access import Operation
from ledger.consultation import check_purpose

#: What recording a reading may answer with.
RECORDING: Final = ("busy", "writer-lost", "vault-unavailable", "erasure-pending")
POSITION: Final = Parameter(
    "position",
    "path",
    "Position of the entry in the log, from 0",
    {"type": "integer", "minimum": 0},
    required=True,
)


async def entry(request: web.Request) -> web.StreamResponse:
    """The canonical bytes that were hashed."""
    Query(request).check()
    position = path_number(request, "position")
    actor, purpose = actor_given(request), purpose_of(request)
    raw = await request.app[LEDGER].entry(request[CREDENTIAL], position, actor, purpose)
    return bytes_reply(raw, "application/json")


async def receipt(request: web.Request) -> web.StreamResponse:
    """The entry's tlog-proof."""
    Query(request).check()
    text = await request.app[LEDGER].receipt(request[CREDENTIAL], path_number(request, "position"))
    return text_reply(text)


async def sealed(request: web.Request) -> web.StreamResponse:
    """The sealed fields that the caller may open, and what marks the entry."""
    Query(request).check()
    position = path_number(request, "position")
    actor, purpose, reason = actor_of(request), purpose_of(request), reason_of(request)
    purpose = check_purpose(purpose)
    ledger, credential = request.app[LEDGER], request[CREDENTIAL]
    opened = await ledger.open_entry(credential, position, actor, purpose, reason)
    shown = {"fields": dict(opened.fields), "gone": list(opened.shown.gone)}
    return json_reply({"position": position, **shown, **opened.marks})


ACTOR_PARAMETER: Final = Parameter(
    ACTOR,
    "header",
    "Staff reference of the person reading. Required unless the token is marked machine.",
    ref("Uuid"),
)
PURPOSE_PARAMETER: Final = Parameter(
    PURPOSE, "header", "Case purpose of the reading, such as review or rights-request", ref("Code")
)

REASON_PARAMETER: Final = Parameter(
    REASON,
    "header",
    "Why the reader opens sealed fields of 20 or more streams within a day, such as inspection",
    ref("Code"),
)
READER_PARAMETER: Final = Parameter(
    ACTOR, "header", "Staff reference of the person reading, if a person does", ref("Uuid")
)
LOG_PURPOSE_PARAMETER: Final = Parameter(
    PURPOSE,
    "header",
    "For which use of section 62(4) the log is read, such as s62-4-a",
    ref("Code"),
)

ROUTES: Final = (
    Route(
        "GET",
        "/v1/entries/{position}",
        entry,
        "Read an entry: the exact bytes that were hashed",
        description=(
            "Of a stream that is about people, the reading is recorded first: as a consultation "
            "by the person named, or once an hour as a query by a machine's token."
        ),
        operation=Operation.READ_ENTRIES,
        parameters=(
            POSITION,
            Parameter(
                ACTOR,
                "header",
                "Staff reference of the person reading. Required for an entry of a stream that is "
                "about people, unless the token is marked machine.",
                ref("Uuid"),
            ),
            Parameter(
                PURPOSE,
                "header",
                "A case purpose, such as review; of a machine, a log purpose, such as s62-4-a",
                ref("Code"),
            ),
        ),
        replies={200: Reply("The entry", schema=ref("Entry"))},
        problems=(
            "invalid-request",
            "actor-required",
            "purpose-required",
            "not-found",
            "expired",
            *RECORDING,
        ),
    ),
    Route(
        "GET",
        "/v1/entries/{position}/receipt",
        receipt,
        "Read an entry's receipt",
        operation=Operation.READ_ENTRIES,
        parameters=(POSITION,),
        replies={200: Reply("A tlog-proof (c2sp.org/tlog-proof@v1)", "text/plain; charset=utf-8")},
        problems=("invalid-request", "not-found", "expired"),
    ),
    Route(
        "GET",
        "/v1/entries/{position}/sealed",
        sealed,
        "Open an entry's sealed fields; the reading is recorded first",
        operation=Operation.OPEN_SEALED,
        parameters=(POSITION, ACTOR_PARAMETER, PURPOSE_PARAMETER, REASON_PARAMETER),
        replies={200: Reply("What the caller may open, and its marks", schema=ref("Sealed"))},
        problems=(
            "invalid-request",
            "actor-required",
            "purpose-required",
            "reason-required",
            "out-of-scope",
            "not-found",
            "expired",
            *RECORDING,
        ),
    ),
)
