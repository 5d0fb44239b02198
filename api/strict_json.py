"""JSON as this service takes it (RFC 8259, and RFC 7493 where it is stricter).

Guarantees: `loads` returns a value only for UTF-8 without a byte order mark, of bounded nesting,
in which no object at any depth names a member twice and no string holds a lone surrogate.
`bad_numbers` finds every number that is not an integer below 2^53 in magnitude, which is all that
a canonical entry may hold. No error says what the text held.

How duplicates are found: orjson keeps the last of two members of one name, silently. In valid
JSON every member of every object, at any depth, has exactly one colon outside strings, and no
other colon is outside strings; so the text has as many such colons as it has members. Parsing
keeps that many members if and only if no object lost one to a duplicate. Both counts are cheap.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from ledger.errors import FieldError, MalformedJson

#: Deepest nesting of arrays and objects that is read.
MAX_DEPTH: Final = 16
#: Integers are below this in magnitude, so that every reader has them exactly.
INTEGER_BOUND: Final = 2**53
#: Most bad fields that one refusal names.
MAX_FIELDS: Final = 1000

# Bytes outside strings are ASCII in valid JSON, and no byte of a longer UTF-8 sequence is a
# quotation mark or a backslash, so this may run on bytes.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def loads(text: bytes) -> Any:
    """Parse; raises MalformedJson, which says where, but not what, the fault is."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        # Not chained: the parser's error holds the whole text.
        detail = f"The body is not valid JSON in UTF-8 (line {error.lineno}, column {error.colno})."
        raise MalformedJson(detail) from None
    depth, members = _shape(value)
    if depth > MAX_DEPTH:
        raise MalformedJson(f"The body nests arrays and objects more than {MAX_DEPTH} deep.")
    if _STRING.sub(b"", text).count(b":") != members:
        raise MalformedJson(
            "An object has two members of one name.", _duplicates(text)[:MAX_FIELDS]
        )
    return value


def _shape(value: Any) -> tuple[int, int]:
    """How deep arrays and objects nest, looking no further than one past the bound, and how many
    members all objects have together."""
    depth = members = 0
    layer = [value]
    while depth <= MAX_DEPTH:
        below: list[Any] = []
        nested = False
        for item in layer:
            if type(item) is dict:
                members += len(item)
                below.extend(item.values())
                nested = True
            elif type(item) is list:
                below.extend(item)
                nested = True
        if not nested:
            break
        depth += 1
        layer = below
    return depth, members


def bad_numbers(value: Any, pointer: str = "") -> Iterator[FieldError]:
    """A FieldError for every number that an entry could not hold. `value` came from `loads`."""
    kind = type(value)
    if kind is dict:
        for name, item in value.items():
            if type(item) is not str:
                yield from bad_numbers(item, f"{pointer}/{pointer_name(name)}")
    elif kind is list:
        for index, item in enumerate(value):
            if type(item) is not str:
                yield from bad_numbers(item, f"{pointer}/{index}")
    elif kind is float or (kind is int and not -INTEGER_BOUND < value < INTEGER_BOUND):
        yield FieldError(pointer, "a number here is an integer below 2^53 in magnitude")


def pointer_name(name: str) -> str:
    """A member's name as it may be shown in a pointer: `?` for one that is not plainly a field's
    name, since what a client wrongly used as a name may be a person's."""
    return name if _PLAIN_NAME.fullmatch(name) else "?"


class _Pairs(list[tuple[str, Any]]):
    """The members of one object, duplicates and all."""


def _duplicates(text: bytes) -> list[FieldError]:
    """Where the duplicates are, for the message alone: slow, and only for a refused text."""
    try:
        value = json.loads(
            text, object_pairs_hook=_Pairs, parse_int=_zero, parse_float=_zero, parse_constant=_zero
        )
        return list(_find_duplicates(value, ""))
    except RecursionError:
        # A duplicate can hide nesting that the parsed value no longer shows.
        return []


def _zero(_: str) -> int:
    return 0


def _find_duplicates(value: Any, pointer: str) -> Iterator[FieldError]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, item in value:
            here = f"{pointer}/{pointer_name(name)}"
            if name in seen:
                yield FieldError(here, "given twice")
            seen.add(name)
            yield from _find_duplicates(item, here)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _find_duplicates(item, f"{pointer}/{index}")
