"""The OpenAPI document against the real service: whatever requests schemathesis makes of it, no
reply is a 5xx, and none is undocumented in status, media type, headers or body."""

import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from api.routes import ROUTES
from api.routing import Route
from demo.caller import Caller, until
from ledger.catalogue import CATALOGUE
from tests.api.test_end_to_end import ACTOR, BIN, run

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
#: Whom a request may come from. What each may do is the subject of other tests.
ROLES = ("submitter", "dpo", "inspector")
EXAMPLES = 12
PURPOSE = "review"
LOG_PURPOSE = "s62-4-a"
REFERENCE = "4a1c9b1e-7d0f-4b7e-9a51-0c5f2e8d6b33"
ASKED = {"body": "ico", "power": "data-protection-act-2018"}
#: The simplest body of a route that takes one.
BODIES = {
    "/v1/staff/{reference}": {
        "organisation": "lewisham-council",
        "name": "Example Person",
        "staff_number": "1",
        "position": "Caseworker",
    },
    "/v1/staff/{reference}/openings": ASKED,
    "/v1/staff/{reference}/openings/{opening}": ASKED,
}


class Service:
    """A served ledger in which every example of the catalogue is recorded."""

    def __init__(self, url: str, tokens: dict[str, str]) -> None:
        self.url, self.tokens = url, tokens
        self.schema = schemathesis.openapi.from_url(f"{url}/v1/openapi.json")
        events = [item.example for item in CATALOGUE.types()]
        cases = (e["subject"].split("/") for e in events)
        self.known = {
            "kind": "case",
            "position": str(len(CATALOGUE.registrations()) + 1),
            "id": next(stream_id for kind, stream_id in cases if kind == "case"),
        }
        for event in events:
            request = urllib.request.Request(
                f"{url}/v1/events",
                orjson.dumps(event),
                {
                    "Content-Type": "application/cloudevents+json",
                    "Authorization": f"Bearer {tokens['submitter']}",
                },
            )
            with urllib.request.urlopen(request, timeout=30) as reply:
                assert reply.status == 201
        erased = next(e["subject"] for e in events if e["type"] == "erasure.executed")
        self.erased = erased.partition("/")[2]
        self.known |= {"reference": REFERENCE, "opening": self.ask_of_staff()}
        officer = Caller(url, tokens["dpo"], ACTOR)
        path = f"/v1/cases/{self.erased}/erasure-certificate"
        until(lambda: officer.ask(path)[0] == 200, 30, "the erasure is verified")

    def ask_of_staff(self) -> str:
        """Register a staff reference, and ask, as the first of two people, whose it is."""
        reply: dict[str, str] = {}
        path = f"/v1/staff/{REFERENCE}"
        for method, address, token in (
            ("PUT", path, self.tokens["submitter"]),
            ("POST", f"{path}/openings", self.tokens["first"]),
        ):
            headers = {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Actor": REFERENCE,
                "Purpose-Of-Use": LOG_PURPOSE,
            }
            body = BODIES[address.replace(REFERENCE, "{reference}")]
            request = urllib.request.Request(
                self.url + address, orjson.dumps(body), headers, method=method
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                reply = orjson.loads(answer.read())
        return reply["opening"]

    def check(self, case: Case[Any], role: str, *, real: bool) -> int:
        """Send a request, of what exists and by somebody with a purpose where `real`, and hold
        the reply against the document; its status."""
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        if real:
            case.path_parameters.update(
                {name: self.known[name] for name in case.path_parameters if name in self.known}
            )
            if case.operation.path.endswith("erasure-certificate"):
                case.path_parameters["id"] = self.erased
            about_staff = case.operation.path.startswith("/v1/staff")
            purpose = LOG_PURPOSE if about_staff else PURPOSE
            headers |= {"Actor": ACTOR, "Purpose-Of-Use": purpose}
            scope = {"hub": "E09000023", "organisation": "lewisham-council"}
            if scope.keys() <= (case.query or {}).keys():
                case.query.update(scope)
        reply = case.call_and_validate(base_url=self.url, headers=headers, checks=CHECKS)
        return reply.status_code


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("schemathesis") / "data"
    run("hub-ledger", "init", "--data", data)
    tokens = {}
    for role in ROLES:
        made = run("hub-ledger", "token", "create", "--data", data, "--role", role, "--all")
        tokens[role] = made.split()[-1]
    # The first of two people has a token of their own.
    tokens["first"] = run(
        "hub-ledger", "token", "create", "--data", data, "--role", "inspector", "--all"
    ).split()[-1]
    process = subprocess.Popen(
        [str(BIN / "hub-ledger"), "serve", "--data", str(data), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield Service(process.stdout.readline().split()[-1], tokens)
    process.terminate()
    assert process.wait(30) == 0
    process.stdout.close()


def _name(route: Any) -> str:
    return f"{route.method} {route.template}"


def _asked(operation: Any, route: Route) -> st.SearchStrategy[Case[Any]]:
    """Requests that keep to the document, and such as break it, where a request can."""
    asked: st.SearchStrategy[Case[Any]] = operation.as_strategy(
        generation_mode=GenerationMode.POSITIVE
    )
    if route.parameters:
        asked |= operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return asked


def _plain(operation: Any, route: Route) -> Case[Any]:
    """The simplest request of what exists."""
    needed = [p for p in route.parameters if p.where in ("path", "query") and p.required]
    case: Case[Any] = operation.Case(
        path_parameters={p.name: "0" for p in needed if p.where == "path"},
        query={p.name: "x" for p in needed if p.where == "query"},
        **({"body": BODIES[route.template]} if route.template in BODIES else {}),
        **({"media_type": "application/json"} if route.template in BODIES else {}),
    )
    return case


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(-9, 9)
    | st.text("aé0", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=5,
)


@st.composite
def _event(draw: st.DrawFn) -> dict[str, Any]:
    """An event of the catalogue, mostly with something else in some of its members. schemathesis
    cannot make one: it takes no schema that says which data goes with which type."""
    item = draw(st.sampled_from(list(CATALOGUE.types())))
    event = {**item.example, "id": str(draw(st.uuids(version=4))), "data": {**item.example["data"]}}
    for part in (event, event["data"]):
        for name in draw(
            st.lists(st.sampled_from([*part, "expectedversion", "other"]), max_size=1)
        ):
            part[name] = draw(JSON)
    return event


def _posted(operation: Any) -> st.SearchStrategy[Case[Any]]:
    body = _event() | st.lists(_event(), max_size=3) | JSON
    media_types = st.sampled_from(list(operation.definition.raw["requestBody"]["content"]))
    return st.builds(lambda b, m: operation.Case(body=b, media_type=m), body, media_types)


@pytest.mark.parametrize("route", ROUTES, ids=_name)
def test_every_reply_is_documented(service: Service, route: Route) -> None:
    operation = service.schema[route.template][route.method]
    records = route.template == "/v1/events" and route.method == "POST"
    requests = _posted(operation) if records else _asked(operation, route)

    seen: set[int] = set()

    @settings(
        max_examples=EXAMPLES * (8 if records else 1),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=requests, role=st.sampled_from(ROLES), real=st.booleans())
    def held(case: Case[Any], role: str, real: bool) -> None:
        seen.add(service.check(case, role, real=real))

    held()
    if not records:
        # At random, one that is answered well may not come up.
        seen.update(service.check(_plain(operation, route), role, real=True) for role in ROLES)
    # What is never answered well has not been looked at. The slash in a partial tile's index is one
    # that OpenAPI has no way to say, and schemathesis none to send.
    assert "{index}" in route.template or seen & set(route.replies), seen
