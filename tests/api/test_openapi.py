"""The OpenAPI document: valid, complete, and true of the route table and of the examples."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.problems import PROBLEMS
from api.routes import ROUTES
from api.schemas import data_component
from ledger.catalogue import CATALOGUE
from tests.api.conftest import Client
from tests.api.events import example

TYPES = [item.type for item in CATALOGUE.types()]


@pytest.fixture
async def document(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = await (await client.get("/v1/openapi.json")).json()
    return found


def validator(document: dict[str, Any], component: str) -> Draft202012Validator:
    return Draft202012Validator({**document, "$ref": f"#/components/schemas/{component}"})


async def test_it_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


async def test_it_has_every_route_and_no_other(document: dict[str, Any]) -> None:
    found = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert found == {(route.method, route.template) for route in ROUTES}
    names = [
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    ]
    assert len(set(names)) == len(names)


async def test_every_status_and_the_token_are_documented(document: dict[str, Any]) -> None:
    for route in ROUTES:
        operation = document["paths"][route.template][route.method.lower()]
        problems = {PROBLEMS[slug].status for slug in route.all_problems}
        assert set(operation["responses"]) == {
            str(status) for status in {*route.replies, *problems}
        }
        guarded = route.operation is not None
        assert operation["security"] == ([{"token": []}] if guarded else [])
        assert ({401, 403} <= problems) is guarded
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


async def test_path_parameters_are_declared(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            declared = {
                parameter["name"]
                for parameter in operation.get("parameters", [])
                if parameter["in"] == "path"
            }
            assert declared == {part[1:-1] for part in path.split("/") if part.startswith("{")}


async def test_references_are_to_what_is_there(document: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [found for item in value.values() for found in references(item)]
        if isinstance(value, list):
            return [found for item in value for found in references(item)]
        return []

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    used = set(references(document))
    assert used <= known


@pytest.mark.parametrize("type_name", TYPES)
async def test_the_examples_are_as_the_document_has_them(
    document: dict[str, Any], type_name: str
) -> None:
    events = validator(document, "CloudEvent")
    events.validate(example(type_name))
    for bad in (
        example(type_name, source=None),
        example(type_name, id="1"),
        example(type_name, extra="1"),
        example(type_name, data={"unknown": 1}),
    ):
        assert not events.is_valid(bad)
    event_type = CATALOGUE.get(type_name, None)
    assert event_type is not None
    validator(document, data_component(event_type)).validate(example(type_name)["data"])


async def test_replies_are_as_the_document_has_them(
    client: Client, document: dict[str, Any]
) -> None:
    for address, component in (("/v1/event-types", "EventTypes"), ("/readyz", "Readiness")):
        validator(document, component).validate(await (await client.get(address)).json())
    problem = await (await client.get("/v1/cases")).json(content_type=None)
    validator(document, "Problem").validate(problem)
