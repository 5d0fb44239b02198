"""Reading parameters of a path, a query and headers, strictly.

Guarantees: a path that cannot name anything is answered like one that names nothing here; a query
or header that is malformed, unknown or given twice is refused by name, never by value.
"""

import re
from collections.abc import Collection
from typing import Final

from aiohttp import web

from api.door import CREDENTIAL
from api.problems import InvalidRequest
from ledger.access import needs_actor
from ledger.errors import ActorRequired, FieldError, NotFound
from ledger_verifier.formats import entry as entries

ACTOR: Final = "Actor"
PURPOSE: Final = "Purpose-Of-Use"
REASON: Final = "Bulk-Reason"

#: No tree is larger.
MAX_SIZE: Final = entries.MAX_INTEGER

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}")
_PURPOSE = re.compile(r"[a-z][a-z0-9-]{1,39}")


def path_number(request: web.Request, name: str) -> int:
    """A decimal number in the path; NotFound for anything else."""
    text = request.match_info[name]
    if not _DECIMAL.fullmatch(text) or int(text) > entries.MAX_INTEGER:
        raise NotFound
    return int(text)


def path_uuid(request: web.Request, name: str) -> str:
    """A lower-case UUID in the path; NotFound for anything else."""
    text = request.match_info[name]
    if not entries.is_uuid(text):
        raise NotFound
    return text


def chosen_uuid(request: web.Request, name: str) -> str:
    """A lower-case UUID in the path that the caller makes up; raises InvalidRequest for anything
    else. There is nothing to be found under it yet."""
    text = request.match_info[name]
    if not entries.is_uuid(text):
        raise InvalidRequest(
            "The address is malformed; nothing was recorded.",
            [FieldError(f"{{{name}}}", "must be a lower-case UUID of version 4 or 7")],
        )
    return text


class Query:
    """The query of a request whose route takes exactly `names`.

    Every fault is collected; `check` raises InvalidRequest for all of them at once.
    """

    def __init__(self, request: web.Request, names: Collection[str] = ()) -> None:
        self._faults: list[FieldError] = []
        self._values: dict[str, str] = {}
        for name, value in request.query.items():
            if name not in names:
                self._faults.append(FieldError("?", "a parameter that this route does not take"))
            elif name in self._values:
                self.fault(name, "given twice")
            else:
                self._values[name] = value

    def fault(self, name: str, reason: str) -> None:
        self._faults.append(FieldError(f"?{name}", reason))

    def text(self, name: str) -> str | None:
        return self._values.get(name)

    def number(self, name: str, least: int, most: int) -> int | None:
        """A decimal number in a range, or None where it is absent or at fault."""
        text = self._values.get(name)
        if text is None:
            return None
        digits = text[1:] if least < 0 and text.startswith("-") else text
        if _DECIMAL.fullmatch(digits) and text != "-0" and least <= int(text) <= most:
            return int(text)
        self.fault(name, f"must be a number from {least} to {most}")
        return None

    def check(self) -> None:
        if self._faults:
            raise InvalidRequest("The query is malformed.", self._faults)


def actor_of(request: web.Request) -> str | None:
    """The person reading, from the header `Actor`; ActorRequired where a person must be named and
    is not. A malformed header is refused also where none is needed."""
    actor = actor_given(request)
    if actor is None and needs_actor(request[CREDENTIAL]):
        raise ActorRequired(
            "Name the person reading: Actor: <their staff reference, a UUID>.",
            [FieldError(ACTOR, "is required")],
        )
    return actor


def actor_given(request: web.Request) -> str | None:
    """The person reading, if the header `Actor` names one."""
    text = _one_header(request, ACTOR)
    if text is not None and not entries.is_uuid(text):
        raise InvalidRequest(
            "A header is malformed.",
            [FieldError(ACTOR, "must be a lower-case UUID of version 4 or 7")],
        )
    return text


def purpose_of(request: web.Request) -> str | None:
    """The purpose of a reading, from the header `Purpose-Of-Use`; which codes there are is the
    ledger's business."""
    return _code(request, PURPOSE)


def reason_of(request: web.Request) -> str | None:
    """Why many records are opened at once, from the header `Bulk-Reason`."""
    return _code(request, REASON)


def _code(request: web.Request, name: str) -> str | None:
    text = _one_header(request, name)
    if text is not None and not _PURPOSE.fullmatch(text):
        raise InvalidRequest(
            "A header is malformed.", [FieldError(name, "must be a code such as rights-request")]
        )
    return text


def _one_header(request: web.Request, name: str) -> str | None:
    values = request.headers.getall(name, [])
    if len(values) > 1:
        raise InvalidRequest("A header is malformed.", [FieldError(name, "given twice")])
    return values[0].strip() if values else None
