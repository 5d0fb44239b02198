"""`EventType`: one registered type and schema, as the rest of the service uses it.

Guarantees: `validate` either returns every client field of the type, split by class, normalised
and safe to write as canonical JSON, or raises `Invalid` with every bad field and no value. A
registration is a pure function of the declaration: the same code always makes the same bytes.
"""

import hashlib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from ledger.catalogue.errors import invalid, translate
from ledger.catalogue.fields import CatalogueError, FieldClass, Shape, kind_of, shape_of
from ledger.catalogue.model import EventData, Family, TrueSubmitter
from ledger_verifier.formats.entry import STREAM_KINDS, is_type_name

#: `type` is also the name of a field below, and would hide the builtin there.
Model = type[EventData]
ModelClass = type[BaseModel]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, eq=False)
class EventType:
    """One type at one schema. Mappings keep the order of declaration; nobody changes them.

    `open` maps each open field to its kind, `sealed` each sealed field to its class, `fields` all
    of them to their class; all three hold the fields the service adds (`service_added`) too.
    `json_schema` and `example` are the client's view, without those. What takes pydantic long is
    made when it is first asked for: the writer, which starts anew after every crash, asks for none.
    """

    type: str
    schema: int
    family: Family
    description: str
    duty: str
    mark: Literal["record", "log"]
    stream_kinds: tuple[str, ...]
    occurred: Literal["instant", "date"]
    recipient: bool
    requires_role: frozenset[str] | None
    service_alone: bool
    model: Model
    open: dict[str, str]
    sealed: dict[str, str]
    fields: dict[str, str]
    descriptions: dict[str, str]
    service_added: frozenset[str]
    added_models: tuple[ModelClass, ...]
    example: dict[str, Any]
    shapes: Mapping[str, Shape]

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        """The data that a client may submit, as JSON Schema 2020-12."""
        return _json_schema(self.model)

    @cached_property
    def json_schema_sha256(self) -> str:
        """SHA-256, in hexadecimal, of the schema in sorted JSON, as registrations have it."""
        raw = orjson.dumps(self.json_schema, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(raw).hexdigest()

    @cached_property
    def _added(self) -> Mapping[str, TypeAdapter[Any]]:
        return _adapters(self.added_models)

    def validate(self, data: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Split submitted data into its open and its sealed fields.

        Every client field is present in the result: an absent one is None. Raises `Invalid`
        naming every bad field, the ones the service fills in among them.
        """
        try:
            event = self.model.model_validate(data, strict=True)
        except ValidationError as error:
            errors = translate(error, self.shapes, self.service_added)
            raise invalid(self.type, errors) from None
        errors = list(event.cross_check())
        if errors:
            raise invalid(self.type, errors)
        values = event.model_dump()
        split: dict[bool, dict[str, Any]] = {True: {}, False: {}}
        for name, value in values.items():
            split[name in self.open][name] = value
        return split[True], split[False]

    def service_fields(
        self,
        actor: str | None,
        submitted: Mapping[str, Any],
        context: Mapping[str, Any],
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The open and the sealed fields that the service adds to this type.

        `actor` is the envelope's; `submitted` the open and sealed fields of `validate` together;
        `context` what the caller can supply, the same for every type: names that this type does
        not declare are passed over, and declared ones that are neither derived nor in `context`
        are left for a later caller (`missing_fields`). Raises ValueError, naming the field alone,
        when a value is not of the declared kind: a fault of the service, not of the client.
        """
        values = {**context, **self.model.derive(actor, submitted)}
        split: dict[bool, dict[str, Any]] = {True: {}, False: {}}
        for name, adapter in self._added.items():
            if name not in values:
                continue
            try:
                value = adapter.validate_python(values[name], strict=True)
            except ValidationError:
                raise ValueError(f"{self.type}: {name} was supplied malformed") from None
            split[name in self.open][name] = value
        return split[True], split[False]

    def missing_fields(
        self, open_fields: Mapping[str, Any], sealed: Mapping[str, Any]
    ) -> frozenset[str]:
        """Declared fields that neither part holds yet: empty when the entry can be made."""
        return frozenset(self.fields) - open_fields.keys() - sealed.keys()

    def registration(self) -> dict[str, Any]:
        """The data of the `schema.registered` entry that precedes the first entry of the type."""
        return {
            "type": self.type,
            "schema": self.schema,
            "streams": list(self.stream_kinds),
            "occurred": self.occurred,
            "recipient": self.recipient,
            "open": dict(self.open),
            "sealed": dict(self.sealed),
            "json_schema_sha256": self.json_schema_sha256,
        }


def describe(model: type[EventData]) -> EventType:
    """Read a model class into an EventType; raises CatalogueError when it breaks a rule."""
    about = model.about
    if not is_type_name(about.type):
        raise CatalogueError(f"{model.__name__}: a type is named noun.past_participle")
    if not about.stream_kinds or not STREAM_KINDS.issuperset(about.stream_kinds):
        raise CatalogueError(f"{about.type}: unknown kind of stream")
    client = _shapes(about.type, model)
    added_models: list[type[BaseModel]] = [TrueSubmitter] if about.recipient else []
    added_models.append(model.Added)
    added = {
        name: shape for part in added_models for name, shape in _shapes(about.type, part).items()
    }
    if client.keys() & added.keys():
        raise CatalogueError(f"{about.type}: a field is both submitted and added")
    shapes = {**client, **added}
    classes = {name: _class_of(about.type, name, shape) for name, shape in shapes.items()}
    open_kinds = {
        name: kind_of(shapes[name]) for name, found in classes.items() if found is FieldClass.OPEN
    }
    if about.recipient and not open_kinds.get("recipient_category", "").startswith("code:"):
        raise CatalogueError(f"{about.type}: a recipient's type has an open recipient_category")
    return EventType(
        type=about.type,
        schema=about.schema,
        family=about.family,
        description=about.description,
        duty=about.duty,
        mark=about.mark,
        stream_kinds=about.stream_kinds,
        occurred=about.occurred,
        recipient=about.recipient,
        requires_role=about.requires_role,
        service_alone=about.service_alone,
        model=model,
        open=open_kinds,
        sealed={n: c.value for n, c in classes.items() if n not in open_kinds},
        fields={name: found.value for name, found in classes.items()},
        descriptions=_descriptions(about.type, [model, *added_models]),
        service_added=frozenset(added),
        added_models=tuple(added_models),
        example=about.example.cloud_event(about.type, about.schema),
        shapes=shapes,
    )


def _annotations(model: type[BaseModel]) -> dict[str, Any]:
    hints = typing.get_type_hints(model, include_extras=True)
    return {name: hints[name] for name in model.model_fields}


def _shapes(type_name: str, model: type[BaseModel]) -> dict[str, Shape]:
    shapes = {}
    for name, annotation in _annotations(model).items():
        try:
            shapes[name] = shape_of(annotation)
        except CatalogueError as error:
            raise CatalogueError(f"{type_name}: {name}: {error}") from error
    return shapes


def _adapters(models: Iterable[type[BaseModel]]) -> dict[str, TypeAdapter[Any]]:
    return {
        name: TypeAdapter(annotation)
        for model in models
        for name, annotation in _annotations(model).items()
    }


def _class_of(type_name: str, name: str, shape: Shape) -> FieldClass:
    if shape.field_class is None:
        raise CatalogueError(f"{type_name}: {name} has no class")
    return shape.field_class


def _descriptions(type_name: str, models: list[type[BaseModel]]) -> dict[str, str]:
    found = {}
    for model in models:
        for name, info in model.model_fields.items():
            if not info.description:
                raise CatalogueError(f"{type_name}: {name} has no description")
            found[name] = info.description
    return found


def _json_schema(model: type[EventData]) -> dict[str, Any]:
    """The client's view as JSON Schema 2020-12, less what pydantic adds for its own forms (titles,
    defaults): the schema's digest is registered in the log and must not follow pydantic."""
    schema = model.model_json_schema()
    properties = {
        name: {key: value for key, value in part.items() if key not in ("title", "default")}
        for name, part in schema["properties"].items()
    }
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": properties,
        "required": sorted(schema.get("required", [])),
        "additionalProperties": False,
    }
