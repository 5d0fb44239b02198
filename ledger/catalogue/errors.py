"""Validation errors in our own words: every bad field named, and never a value.

pydantic reports every error at once; its messages and inputs are not shown. A field of the type is
named by its JSON pointer. A member that the type does not have is named only when its name looks
like a field name, because what a client writes where a name belongs may itself be personal.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import ValidationError

from ledger.catalogue.fields import OWN_ERROR, Shape
from ledger.errors import FieldError, Invalid

#: One problem names at most this many fields; a caller with more has another kind of trouble.
MAX_REPORTED: Final = 100

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_INTEGER = "must be an integer, written without a fraction or exponent"
_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "is required",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "string_type": "must be a string",
    "string_unicode": "must be well-formed Unicode",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": _INTEGER,
    "int_from_float": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": "must be an integer from 0 to 9007199254740991",
    "list_type": "must be a list",
}
_FALLBACK = "is not a value this field takes"


def invalid(type_name: str, errors: Iterable[FieldError]) -> Invalid:
    """The error a caller gets: each bad field once, in a fixed order, at most MAX_REPORTED."""
    fields = sorted(set(errors))
    return Invalid(
        f"The data is not as {type_name} declares it: see its entry in the list of event types.",
        fields[:MAX_REPORTED],
    )


def translate(
    error: ValidationError, shapes: Mapping[str, Shape], service_added: frozenset[str]
) -> list[FieldError]:
    """pydantic's errors as ours. Reads types and locations alone, never an input or a message."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        _translate(item["type"], item["loc"], item["msg"], shapes, service_added)
        for item in details
    ]


def _translate(
    kind: str,
    location: tuple[int | str, ...],
    message: str,
    shapes: Mapping[str, Shape],
    service_added: frozenset[str],
) -> FieldError:
    if kind == "extra_forbidden":
        return _unknown(str(location[0]), service_added)
    pointer = "/data" + "".join(f"/{part}" for part in location)
    if kind.startswith(OWN_ERROR):
        return FieldError(pointer, message)
    if kind == "literal_error":
        codes = shapes[str(location[0])].codes or ()
        return FieldError(pointer, f"must be one of: {', '.join(codes)}")
    return FieldError(pointer, _SENTENCES.get(kind, _FALLBACK))


def _unknown(name: str, service_added: frozenset[str]) -> FieldError:
    if name in service_added:
        return FieldError(f"/data/{name}", "is filled in by the ledger: leave it out")
    if _NAME.fullmatch(name):
        return FieldError(f"/data/{name}", "is not a field of this type")
    return FieldError("/data", "has a member that is not a field of this type")


def field_error(name: str, reason: str) -> FieldError:
    """An error of a check across fields, at one field of the data."""
    return FieldError(f"/data/{name}", reason)
