"""Bodies that are sent beside events, held against a model in the catalogue's own words.

Guarantees: every bad member is named by its JSON pointer, and no value is repeated.
"""

import typing
from typing import Any, TypeVar

from pydantic import ValidationError

from ledger.catalogue.errors import translate
from ledger.catalogue.fields import shape_of
from ledger.catalogue.model import Strict
from ledger.errors import FieldError, Malformed

Body = TypeVar("Body", bound=Strict)


def parse_body(model: type[Body], value: object) -> Body:
    """What was sent, as the model has it; raises Malformed."""
    try:
        return model.model_validate(value, strict=True)
    except ValidationError as error:
        hints = typing.get_type_hints(model, include_extras=True)
        shapes = {name: shape_of(hints[name]) for name in model.model_fields}
        found = translate(error, shapes, frozenset())
    raise Malformed(
        "The body is malformed; nothing was recorded.",
        [FieldError(one.pointer.removeprefix("/data"), one.reason) for one in found],
    )


def body_schema(model: type[Strict]) -> dict[str, Any]:
    """The same as JSON Schema 2020-12."""
    schema = model.model_json_schema()
    schema.pop("title")
    for part in schema["properties"].values():
        part.pop("title", None)
        part.pop("default", None)
    return schema
