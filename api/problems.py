"""Problems: every refusal of this service as RFC 9457 `application/problem+json`.

Guarantees: a problem has a stable `type` (`urn:hub-ledger:problem:<slug>`, docs/problems.md), names
every bad field by JSON pointer, and holds no value that was submitted. Whatever is unknown and
whatever the caller may not see get the same bytes. What goes wrong inside is reported as
`internal-error` with nothing of the inside, and logged as the exception's type and the lines it
passed through, never its message: messages hold values.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from api.strict_json import MAX_FIELDS, pointer_name
from ledger.errorlog import frames_of, types_of
from ledger.errors import FieldError, LedgerError

URN: Final = "urn:hub-ledger:problem:"
MEDIA_TYPE: Final = "application/problem+json"

log = structlog.get_logger("hub_ledger.http")


class UnsupportedMediaType(LedgerError):
    """The body is of a kind this route does not take."""

    slug = "unsupported-media-type"


class InvalidRequest(LedgerError):
    """A query parameter or header is not well formed; `fields` name it as `?name` or `Name`."""

    slug = "invalid-request"


class RequestTimeout(LedgerError):
    """The body did not arrive in time."""

    slug = "request-timeout"


@dataclass(frozen=True, slots=True)
class Problem:
    """One type of problem: its status, its title, and after how many seconds to try again."""

    status: int
    title: str
    retry_after: int | None = None


PROBLEMS: Final[Mapping[str, Problem]] = {
    "malformed-json": Problem(400, "The body is not JSON that this service takes"),
    "invalid-event": Problem(400, "The event is malformed"),
    "invalid-request": Problem(400, "The request is malformed"),
    "actor-required": Problem(400, "The person reading must be named"),
    "unauthenticated": Problem(401, "A bearer token is needed"),
    "forbidden": Problem(403, "The role may not do this"),
    "out-of-scope": Problem(403, "The token is not bound to this"),
    "reserved-type": Problem(403, "The type is recorded by the service alone"),
    "purpose-required": Problem(403, "A purpose must be named"),
    "reason-required": Problem(403, "A reason must be given"),
    "second-person-required": Problem(403, "A second person is needed"),
    "not-found": Problem(404, "Not found"),
    "method-not-allowed": Problem(405, "The method is not allowed here"),
    "request-timeout": Problem(408, "The body did not arrive in time"),
    "duplicate-conflict": Problem(409, "The event is recorded already, with other content"),
    "version-conflict": Problem(409, "The stream is at another version"),
    "erasure-barred": Problem(409, "Something stands before the erasure"),
    "erasure-not-verified": Problem(409, "There is no verified erasure"),
    "no-such-share": Problem(409, "No such share of this recipient is recorded"),
    "nothing-to-erase": Problem(409, "There is nothing here to erase"),
    "opening-not-waiting": Problem(409, "No request to open waits under this id"),
    "no-policy": Problem(409, "No policy in force covers this"),
    "expired": Problem(410, "It has expired"),
    "too-large": Problem(413, "The submission is over a limit"),
    "unsupported-media-type": Problem(415, "The media type is not taken here"),
    "expectation-failed": Problem(417, "The expectation cannot be met"),
    "internal-error": Problem(500, "Something went wrong here"),
    "busy": Problem(503, "The service is busy; nothing was recorded", retry_after=1),
    "writer-lost": Problem(503, "The outcome is unknown; a retry finds out", retry_after=5),
    "vault-unavailable": Problem(503, "Sealed data cannot be read now", retry_after=5),
    "erasure-pending": Problem(503, "The erasure is recorded but not finished", retry_after=5),
}

NOT_FOUND_DETAIL: Final = "There is no such thing, or it is not for you."
_INTERNAL_DETAIL: Final = (
    "The request was not answered. If it was a submission, send it again: a retry never records "
    "twice."
)
_INDEX = re.compile(r"0|[1-9][0-9]{0,15}")
#: Members of a problem that an error's `extra` may not replace.
_FIXED: Final = frozenset({"type", "title", "status", "detail", "errors", "errors_omitted"})


def problem(
    slug: str,
    detail: str,
    fields: Iterable[FieldError] = (),
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """The reply for one problem. `extra` adds public members; `headers` add to the reply's."""
    kind = PROBLEMS[slug]
    body: dict[str, Any] = {
        "type": URN + slug,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
    }
    named = sorted(set(fields), key=_reading_order)
    if named:
        body["errors"] = [
            {"pointer": shown_pointer(item.pointer), "detail": item.reason}
            for item in named[:MAX_FIELDS]
        ]
    if len(named) > MAX_FIELDS:
        body["errors_omitted"] = len(named) - MAX_FIELDS
    body.update({name: value for name, value in (extra or {}).items() if name not in _FIXED})
    reply = web.Response(
        status=kind.status, body=orjson.dumps(body), content_type=MEDIA_TYPE, headers=headers
    )
    reply.headers["Cache-Control"] = "no-store"
    if kind.retry_after is not None:
        reply.headers["Retry-After"] = str(kind.retry_after)
    if kind.status == 401:
        reply.headers["WWW-Authenticate"] = 'Bearer realm="hub-ledger"'
    return reply


def _reading_order(item: FieldError) -> tuple[list[tuple[int, str]], str]:
    """By pointer, the numbers in it as numbers: `/2/id` before `/10/id`."""
    steps = item.pointer.split("/")
    return [(int(step), "") if _INDEX.fullmatch(step) else (-1, step) for step in steps], (
        item.reason
    )


def shown_pointer(pointer: str) -> str:
    """A pointer with every step hidden that is neither an index nor plainly a field's name: a
    client may have used somebody's name as a member's name. Parameters (`?after`) and headers
    (`Actor`) come from this service's own list and are shown as they are."""
    if not pointer.startswith("/"):
        return pointer
    steps = pointer[1:].split("/")
    return "".join(f"/{step if _INDEX.fullmatch(step) else pointer_name(step)}" for step in steps)


def problem_of(error: LedgerError) -> web.Response:
    """The reply for an error of the ledger. One with no public type is an internal error."""
    if error.slug == "not-found":
        return not_found()
    if error.slug not in PROBLEMS or error.slug == "internal-error":
        return internal_error()
    return problem(error.slug, error.detail, error.fields, error.extra)


def not_found() -> web.Response:
    """The one reply for what is unknown and for what the caller may not see."""
    return problem("not-found", NOT_FOUND_DETAIL)


def internal_error() -> web.Response:
    """The one reply for whatever went wrong inside."""
    return problem("internal-error", _INTERNAL_DETAIL)


def of_aiohttp(error: web.HTTPException) -> web.Response:
    """What aiohttp itself refuses, said our way."""
    match error:
        case web.HTTPNotFound():
            return not_found()
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return problem(
                "method-not-allowed",
                f"This address takes {allowed}.",
                headers={"Allow": allowed},
            )
        case web.HTTPRequestEntityTooLarge():
            return problem("too-large", "The body is over the limit of this route.")
        case web.HTTPExpectationFailed():
            return problem("expectation-failed", "Expect takes 100-continue and nothing else.")
        case _:
            return problem("invalid-request", "The request cannot be answered as it was made.")


def log_failure(request: web.Request, error: BaseException) -> None:
    """Log what went wrong inside: where and of what type. The route's template stands for the
    address, which may hold the id of a case; messages are left out, since they hold values."""
    resource = request.match_info.route.resource
    log.error(
        "request failed",
        method=request.method,
        route="unmatched" if resource is None else resource.canonical,
        error=types_of(error),
        slug=getattr(error, "slug", None),
        frames=frames_of(error),
    )


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn everything that a handler raises into a problem."""
    try:
        return await handler(request)
    except LedgerError as error:
        if PROBLEMS.get(error.slug, PROBLEMS["internal-error"]).status == 500:
            log_failure(request, error)
        return problem_of(error)
    except web.HTTPException as error:
        return of_aiohttp(error)
    except Exception as error:  # noqa: BLE001 (the last line of defence: logged, not passed on)
        log_failure(request, error)
        return internal_error()
