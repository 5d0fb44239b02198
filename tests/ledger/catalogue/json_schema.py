"""JSON Schema 2020-12 as another implementation has it, for these tests."""

from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types


def check_schema(schema: dict[str, Any]) -> None:
    """Raise unless the schema is itself well formed."""
    Draft202012Validator.check_schema(schema)


def accepts(schema: dict[str, Any], data: Any) -> bool:
    """Whether the schema takes the data."""
    return bool(Draft202012Validator(schema).is_valid(data))
