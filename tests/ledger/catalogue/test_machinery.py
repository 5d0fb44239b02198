"""The machinery: a declaration that breaks a rule of the catalogue stops it from loading."""

from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, create_model

from ledger.catalogue import Catalogue, CatalogueError, Declaration, EventData, Example, describe
from ledger.catalogue.fields import (
    Attribution,
    Coded,
    Count,
    Date,
    FieldClass,
    Flag,
    Instant,
    Line,
    Open,
    Organisation,
    Personal,
    Several,
    Sha256,
    Uuid,
    kind_of,
    shape_of,
)
from ledger.catalogue.model import ServiceFields

EXAMPLE = Example(
    id="019bb1c1-6440-7e1e-bc4d-ef71f41fcb28",
    subject="case/eeee7355-6f02-4483-9508-e050abda62a8",
    time="2026-01-12T10:30:00Z",
    data={},
)
Tone = Literal["grave", "light"]
# The aliases as values: a type checker knows them in annotations alone.
OPEN: Any = Open
CODED: Any = Coded


def _about(**changes: Any) -> Declaration:
    given: dict[str, Any] = {
        "type": "thing.happened",
        "family": "case",
        "description": "A thing happened.",
        "duty": "None at all",
        "stream_kinds": ("case",),
        "example": EXAMPLE,
    }
    return Declaration(**{**given, **changes})


class ThingHappened(EventData):
    """A small type, as a family module would declare it."""

    class Added(ServiceFields):
        """Filled in by the service."""

        weight: Coded[Count] = Field(description="How heavy it is.")

    about: ClassVar[Declaration] = _about()

    tone: Open[Tone] = Field(description="How it sounded.")
    due: Open[Date | None] = Field(default=None, description="When it is due.")
    note: Personal[Line | None] = Field(default=None, description="What was noted.")


class ThingHappenedAgain(ThingHappened):
    """The next schema of the same type."""

    about: ClassVar[Declaration] = _about(schema=2)

    place: Attribution[Organisation | None] = Field(default=None, description="Where it was.")


def _module(*models: type[EventData]) -> ModuleType:
    module = ModuleType(__name__)
    for model in models:
        setattr(module, model.__name__, model)
    return module


def test_one_class_is_a_whole_type() -> None:
    catalogue = Catalogue.of_modules([_module(ThingHappened)])
    (thing,) = catalogue.types()
    assert thing.registration() == {
        "type": "thing.happened",
        "schema": 1,
        "streams": ["case"],
        "occurred": "date",
        "recipient": False,
        "open": {"tone": "code:grave|light", "due": "date?"},
        "sealed": {"note": "personal", "weight": "coded"},
        "json_schema_sha256": thing.json_schema_sha256,
    }
    assert thing.service_added == {"weight"}
    assert thing.validate({"tone": "grave"}) == ({"tone": "grave", "due": None}, {"note": None})


def test_schemas_stand_beside_one_another_and_the_newest_is_offered() -> None:
    catalogue = Catalogue.of_modules([_module(ThingHappenedAgain, ThingHappened)])
    assert [one.schema for one in catalogue.types()] == [2]
    assert [one.schema for one in catalogue.registrations()] == [2, 1]
    newest = catalogue.get("thing.happened")
    assert newest is not None
    assert newest.schema == 2
    older = catalogue.get("thing.happened", 1)
    assert older is not None
    assert "place" not in older.fields


def test_a_schema_is_declared_once() -> None:
    thing = describe(ThingHappened)
    with pytest.raises(CatalogueError, match="declared twice"):
        Catalogue([thing, thing])


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (OPEN[Uuid], "uuid"),
        (OPEN[Date | None], "date?"),
        (OPEN[Instant], "instant"),
        (OPEN[Count], "count"),
        (OPEN[Flag | None], "flag?"),
        (OPEN[Sha256 | None], "sha256?"),
        (OPEN[Tone], "code:grave|light"),
        (OPEN[Tone | None], "code?:grave|light"),
        (OPEN[Annotated[list[Tone], Several()]], "code[]:grave|light"),
        (OPEN[Annotated[list[Uuid], Several()] | None], "uuid[]?"),
    ],
)
def test_the_kind_follows_from_the_annotation(annotation: Any, kind: str) -> None:
    shape = shape_of(annotation)
    assert shape.field_class is FieldClass.OPEN
    assert kind_of(shape) == kind


@pytest.mark.parametrize(
    "annotation", [OPEN[Line], OPEN[str], OPEN[Organisation], OPEN[float], OPEN[dict[str, int]]]
)
def test_nothing_free_can_be_open(annotation: Any) -> None:
    with pytest.raises(CatalogueError, match="an open field is"):
        kind_of(shape_of(annotation))


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (CODED[list[Tone]], "declares its bounds"),
        (CODED[int | str], "one kind of value"),
        (Annotated[Flag, FieldClass.OPEN, FieldClass.CODED], "one class"),
        (OPEN[Literal["Upper"]], "lower-case"),
        (OPEN[Literal["-edge"]], "lower-case"),
        (OPEN[Literal["a|b"]], "lower-case"),
        (OPEN[Literal[1]], "lower-case"),
    ],
)
def test_other_annotations_are_refused(annotation: Any, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        shape_of(annotation)


def _broken(about: Declaration, **members: Any) -> type[EventData]:
    model = create_model("Broken", __base__=EventData, **members)
    model.about = about
    return model


@pytest.mark.parametrize(
    ("about", "members", "message"),
    [
        (_about(type="Thing"), {}, "noun.past_participle"),
        (_about(stream_kinds=()), {}, "kind of stream"),
        (_about(stream_kinds=("drawer",)), {}, "kind of stream"),
        (_about(), {"tone": (Tone, Field(description="Tone."))}, "tone has no class"),
        (_about(), {"tone": (OPEN[Tone], ...)}, "tone has no description"),
        (_about(), {"note": (OPEN[Line], Field(description="Note."))}, "an open field is"),
        (_about(recipient=True), {}, "open recipient_category"),
    ],
)
def test_a_declaration_that_breaks_a_rule(
    about: Declaration, members: dict[str, Any], message: str
) -> None:
    with pytest.raises(CatalogueError, match=message):
        describe(_broken(about, **members))


def test_a_field_is_submitted_or_added_and_not_both() -> None:
    class Both(ThingHappened):
        about: ClassVar[Declaration] = _about()
        weight: Coded[Count] = Field(description="Heavy.")

    with pytest.raises(CatalogueError, match="both submitted and added"):
        describe(Both)


def test_a_reserved_type_cannot_be_declared() -> None:
    reserved = describe(_broken(_about(type="ledger.opened", stream_kinds=("ledger",))))
    with pytest.raises(CatalogueError, match="reserved"):
        Catalogue([reserved])
