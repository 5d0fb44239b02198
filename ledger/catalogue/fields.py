"""Kinds of value that a field of an event may hold, and the classes fields are sealed under.

Guarantees: every accepted value is canonical-JSON-safe (strings in Unicode NFC, integers below
2^53 in magnitude, booleans, null, bounded lists of these; no float), and no message about a
refused value holds the value. Open fields can only be written with the kinds that
`ledger_verifier.meaning.schemas` knows: `kind_of` derives the kind from the annotation and refuses
anything else, so free text cannot become open.
"""

import re
import types
import typing
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeVar, Union

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ledger_verifier.formats import entry as entries
from ledger_verifier.meaning.schemas import MAX_LIST

#: Error types of this module start so; their messages are written here and are shown as they are.
OWN_ERROR: Final = "ledger_"

T = TypeVar("T")


class FieldClass(StrEnum):
    """Who may ever read a field, and what its erasure follows."""

    OPEN = "open"
    CODED = "coded"
    PERSONAL = "personal"
    ATTRIBUTION = "attribution"


Open = Annotated[T, FieldClass.OPEN]
"""In the entry's own bytes: a generic code, an id, a date, a count, a flag or a digest."""
Coded = Annotated[T, FieldClass.CODED]
"""A coded fact about the person; sealed under the stream's subject key."""
Personal = Annotated[T, FieldClass.PERSONAL]
"""Content about the person; sealed under the stream's subject key."""
Attribution = Annotated[T, FieldClass.ATTRIBUTION]
"""Who is accountable; sealed under the stream's attribution key, survives a person's erasure."""


class CatalogueError(TypeError):
    """A declaration in the catalogue breaks the catalogue's own rules: a programming error."""


def _refuse(name: str, sentence: str) -> PydanticCustomError:
    return PydanticCustomError(f"{OWN_ERROR}{name}", sentence)


@dataclass(frozen=True, slots=True)
class Form:
    """A string of one fixed form. `kind` is set only for forms that an open field may have."""

    name: str
    accepts: Callable[[object], bool]
    sentence: str
    pattern: str
    kind: str | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern}

    def _check(self, value: str) -> str:
        if not self.accepts(value):
            raise _refuse(self.name, self.sentence)
        return value


@dataclass(frozen=True, slots=True)
class Text:
    """Free text for sealed fields: NFC, 1 to `longest` characters, no control characters but line
    feed and tab (so a text prints as it was written, and hides nothing)."""

    longest: int

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._normalise, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": self.longest}

    def _normalise(self, value: str) -> str:
        text = unicodedata.normalize("NFC", value)
        if not text:
            raise _refuse("text_empty", "must not be empty: leave the field out instead")
        if len(text) > self.longest:
            raise _refuse("text_long", f"must be at most {self.longest} characters long")
        if _SURROGATE.search(text):
            raise _refuse("text_unicode", "must be well-formed Unicode")
        if _CONTROL.search(text):
            raise _refuse(
                "text_control",
                "must not hold control characters, other than line feed and tab",
            )
        return text


@dataclass(frozen=True, slots=True)
class Several:
    """Bounds of a list, whose items must all differ."""

    fewest: int = 0
    most: int = MAX_LIST

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        # The length is judged before the items are looked at, so that a list of a hundred
        # thousand bad items is one error.
        bounded = core_schema.no_info_before_validator_function(self._bound, handler(source))
        return core_schema.no_info_after_validator_function(self._distinct, bounded)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        bounds: dict[str, Any] = {"maxItems": self.most, "uniqueItems": True}
        if self.fewest:
            bounds["minItems"] = self.fewest
        return {**handler(schema), **bounds}

    def _bound(self, value: Any) -> Any:
        if isinstance(value, list) and len(value) > self.most:
            raise _refuse("list_long", f"must hold at most {self.most} items")
        if isinstance(value, list) and len(value) < self.fewest:
            raise _refuse("list_short", f"must hold at least {self.fewest} items")
        return value

    def _distinct(self, value: list[Any]) -> list[Any]:
        if len(set(value)) != len(value):
            raise _refuse("list_repeats", "must not hold an item twice")
        return value


@dataclass(frozen=True, slots=True)
class Whole:
    """A count: an integer from 0 to 2^53 - 1, written without a fraction (`56`, never `56.0`)."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "integer", "minimum": 0, "maximum": entries.MAX_INTEGER}

    def _check(self, value: int) -> int:
        if not 0 <= value <= entries.MAX_INTEGER:
            raise _refuse("count", "must be an integer from 0 to 9007199254740991")
        return value


_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_GRADE = re.compile(r"[1-3][a-e][pc]")
#: A code value; the first and last characters are not hyphens.
CODE_VALUE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


# Kinds that an open field may have (a closed list of codes is a Literal of strings).
Uuid = Annotated[
    str,
    Form(
        "uuid",
        entries.is_uuid,
        "must be a lower-case UUID of version 4 or 7",
        "^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
        kind="uuid",
    ),
]
Date = Annotated[
    str,
    Form(
        "date",
        entries.is_day,
        "must be a calendar date written YYYY-MM-DD",
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        kind="date",
    ),
]
Instant = Annotated[
    str,
    Form(
        "instant",
        entries.is_instant,
        "must be a UTC instant written YYYY-MM-DDTHH:MM:SS.mmmZ",
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$",
        kind="instant",
    ),
]
Sha256 = Annotated[
    str,
    Form(
        "sha256",
        entries.is_hex64,
        "must be a SHA-256 digest in 64 lower-case hexadecimal digits",
        "^[0-9a-f]{64}$",
        kind="sha256",
    ),
]
Count = Annotated[int, Whole()]
Flag = bool

# Kinds for sealed fields alone.
Organisation = Annotated[
    str,
    Form(
        "organisation",
        entries.is_code,
        "must be an organisation code of 2 to 40 lower-case letters, digits and hyphens",
        "^[a-z0-9-]{2,40}$",
    ),
]
FieldName = Annotated[
    str,
    Form(
        "field_name",
        _matches(_FIELD_NAME),
        "must be a field name of lower-case letters, digits and underscores",
        "^[a-z][a-z0-9_]{0,63}$",
    ),
]
Language = Annotated[
    str,
    Form(
        "language",
        _matches(_LANGUAGE),
        "must be a language code of two or three lower-case letters (ISO 639)",
        "^[a-z]{2,3}$",
    ),
]
IntelligenceGrade = Annotated[
    str,
    Form(
        "grade",
        _matches(_GRADE),
        "must be a 3x5x2 grade: a digit 1 to 3, a letter a to e, then p or c",
        "^[1-3][a-e][pc]$",
    ),
]
Line = Annotated[str, Text(200)]
Address = Annotated[str, Text(500)]
Url = Annotated[str, Text(2_000)]
Narrative = Annotated[str, Text(8_000)]


@dataclass(frozen=True, slots=True)
class Shape:
    """An annotation taken apart: its class marker, and what the value itself is."""

    field_class: FieldClass | None
    base: Any
    forms: tuple[Any, ...]
    is_list: bool
    nullable: bool
    codes: tuple[str, ...] | None


def shape_of(annotation: Any) -> Shape:
    """Take an annotation apart; raises CatalogueError for a form the catalogue does not use."""
    marks: list[Any] = []
    inner, nullable, is_list = _strip(annotation, marks), False, False
    if typing.get_origin(inner) in (Union, types.UnionType):
        options = [option for option in typing.get_args(inner) if option is not type(None)]
        if len(options) != 1:
            raise CatalogueError("a field holds one kind of value, or that and null")
        nullable, inner = True, _strip(options[0], marks)
    if typing.get_origin(inner) is list:
        if not any(isinstance(mark, Several) for mark in marks):
            raise CatalogueError("a list declares its bounds: Annotated[list[...], Several(...)]")
        is_list, inner = True, _strip(typing.get_args(inner)[0], marks)
    codes = typing.get_args(inner) if typing.get_origin(inner) is Literal else None
    if codes is not None and not all(_is_code_value(value) for value in codes):
        raise CatalogueError("a code value is lower-case letters, digits and hyphens")
    classes = [mark for mark in marks if isinstance(mark, FieldClass)]
    if len(classes) > 1:
        raise CatalogueError("a field has one class")
    forms = tuple(mark for mark in marks if not isinstance(mark, FieldClass))
    return Shape(classes[0] if classes else None, inner, forms, is_list, nullable, codes)


def kind_of(shape: Shape) -> str:
    """The kind of an open field, as `schema.registered` writes it; raises CatalogueError when the
    field could hold anything but a listed code, an id, a date, a count, a flag or a digest."""
    suffix = ("[]" if shape.is_list else "") + ("?" if shape.nullable else "")
    if shape.codes is not None:
        return f"code{suffix}:{'|'.join(shape.codes)}"
    if shape.base is bool:
        return f"flag{suffix}"
    if shape.base is int:
        return f"count{suffix}"
    kinds = [form.kind for form in shape.forms if isinstance(form, Form) and form.kind]
    if len(kinds) != 1:
        raise CatalogueError("an open field is a code, uuid, date, instant, count, flag or sha256")
    return f"{kinds[0]}{suffix}"


def shape_name(shape: Shape) -> str:
    """What a field may hold, in words for documentation."""
    if shape.codes is not None:
        name = "one of " + ", ".join(f"`{code}`" for code in shape.codes)
        return f"list: {name.removeprefix('one of ')}" if shape.is_list else name
    marks = shape.forms
    names = [mark.name.replace("_", " ") for mark in marks if isinstance(mark, Form)]
    names += [f"text, at most {mark.longest}" for mark in marks if isinstance(mark, Text)]
    base = names[0] if names else {bool: "flag", int: "count"}[shape.base]
    return f"list: {base}" if shape.is_list else base


def _is_code_value(value: object) -> bool:
    return isinstance(value, str) and CODE_VALUE.fullmatch(value) is not None


def _strip(annotation: Any, marks: list[Any]) -> Any:
    """The annotation without its Annotated layer, whose metadata is added to `marks`."""
    if typing.get_origin(annotation) is Annotated:
        inner, *metadata = typing.get_args(annotation)
        marks.extend(metadata)
        return inner
    return annotation
