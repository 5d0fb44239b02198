"""Every route as every role: who is answered, who is refused, and that a refusal says nothing.

`EXPECTED` is written out by hand. A route that is not in it fails the first test, so a new route
cannot be forgotten.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
import pytest

from api.routes import ROUTES
from api.routing import Route
from ledger.access import Role
from tests.api.conftest import Client, headers_for
from tests.api.events import ACTOR, HUB, OTHER_HUB, credential, fresh
from tests.api.fakes import FakeLedger

CASE_HERE = "aaaaaaaa-0000-4000-8000-000000000001"
CASE_THERE = "aaaaaaaa-0000-4000-8000-000000000002"
NOWHERE = "aaaaaaaa-0000-4000-8000-000000000003"
STAFF_HERE = "aaaaaaaa-0000-4000-8000-000000000004"
STAFF_THERE = "aaaaaaaa-0000-4000-8000-000000000005"
READING = {"Actor": ACTOR, "Purpose-Of-Use": "review"}
EVERYBODY = frozenset(Role)
RECORDS = frozenset({Role.SUBMITTER, Role.COORDINATOR, Role.DPO})
READS = EVERYBODY - {Role.AGGREGATE, Role.OPERATOR}
CASES = frozenset({Role.COORDINATOR, Role.DPO, Role.RIGHTS_OFFICER, Role.INSPECTOR, Role.AUDITOR})
READS_CASE_STREAMS = CASES | {Role.SUBMITTER}
CERTIFIES = frozenset({Role.DPO, Role.RIGHTS_OFFICER})
FINDS = frozenset({Role.DPO, Role.REGISTRAR, Role.AUDITOR, Role.INSPECTOR})
OPENS_STAFF = frozenset({Role.STANDARDS, Role.INSPECTOR})
WELL = (200, 201, 202)


@dataclass(frozen=True)
class Expected:
    """Who may use a route with a token of Lewisham's. `address` names something of Lewisham's,
    `elsewhere` the like of another hub, `nowhere` nothing. `routed` roles get past the door and
    find what they may; those in `answered` find `address`. `unbound` are answered with `--all`."""

    address: str
    routed: frozenset[Role] = EVERYBODY
    answered: frozenset[Role] = EVERYBODY
    unbound: frozenset[Role] | None = None
    elsewhere: str | None = None
    nowhere: str | None = None
    public: bool = False


EXPECTED: Mapping[tuple[str, str], Expected] = {
    ("POST", "/v1/events"): Expected("/v1/events", RECORDS | {Role.REGISTRAR}, RECORDS),
    ("GET", "/v1/events"): Expected("/v1/events", READS, READS),
    ("GET", "/v1/entries/{position}"): Expected(
        "/v1/entries/0",
        READS,
        READS_CASE_STREAMS,
        elsewhere="/v1/entries/1",
        nowhere="/v1/entries/99",
    ),
    ("GET", "/v1/entries/{position}/receipt"): Expected(
        "/v1/entries/0/receipt",
        READS,
        READS_CASE_STREAMS,
        elsewhere="/v1/entries/1/receipt",
        nowhere="/v1/entries/99/receipt",
    ),
    ("GET", "/v1/entries/{position}/sealed"): Expected(
        "/v1/entries/0/sealed",
        CASES | {Role.STANDARDS},
        CASES,
        elsewhere="/v1/entries/1/sealed",
        nowhere="/v1/entries/99/sealed",
    ),
    ("GET", "/v1/cases"): Expected("/v1/cases", CASES, CASES),
    ("GET", "/v1/cases/{id}"): Expected(
        f"/v1/cases/{CASE_HERE}",
        CASES,
        CASES,
        elsewhere=f"/v1/cases/{CASE_THERE}",
        nowhere=f"/v1/cases/{NOWHERE}",
    ),
    ("GET", "/v1/cases/{id}/bundle"): Expected(
        f"/v1/cases/{CASE_HERE}/bundle",
        CASES,
        CASES,
        elsewhere=f"/v1/cases/{CASE_THERE}/bundle",
        nowhere=f"/v1/cases/{NOWHERE}/bundle",
    ),
    ("GET", "/v1/streams/{kind}/{id}/bundle"): Expected(
        f"/v1/streams/case/{CASE_HERE}/bundle",
        CASES | {Role.STANDARDS},
        CASES,
        elsewhere=f"/v1/streams/case/{CASE_THERE}/bundle",
        nowhere=f"/v1/streams/ledger/{CASE_HERE}/bundle",
    ),
    ("GET", "/v1/cases/{id}/erasure-certificate"): Expected(
        f"/v1/cases/{CASE_HERE}/erasure-certificate?form=subject",
        CERTIFIES,
        CERTIFIES,
        elsewhere=f"/v1/cases/{CASE_THERE}/erasure-certificate",
        nowhere=f"/v1/cases/{NOWHERE}/erasure-certificate",
    ),
    ("GET", "/v1/expiry"): Expected(
        f"/v1/expiry?hub={HUB}&organisation=lewisham-council",
        frozenset({Role.DPO, Role.INSPECTOR}),
        frozenset({Role.DPO, Role.INSPECTOR}),
    ),
    ("GET", "/v1/findings"): Expected("/v1/findings", FINDS, FINDS),
    ("PUT", "/v1/staff/{reference}"): Expected(
        f"/v1/staff/{NOWHERE}", RECORDS | {Role.REGISTRAR}, RECORDS | {Role.REGISTRAR}
    ),
    ("POST", "/v1/staff/{reference}/openings"): Expected(
        f"/v1/staff/{STAFF_HERE}/openings",
        OPENS_STAFF,
        OPENS_STAFF,
        elsewhere=f"/v1/staff/{STAFF_THERE}/openings",
        nowhere=f"/v1/staff/{NOWHERE}/openings",
    ),
    ("POST", "/v1/staff/{reference}/openings/{opening}"): Expected(
        f"/v1/staff/{STAFF_HERE}/openings/{CASE_HERE}",
        OPENS_STAFF,
        OPENS_STAFF,
        elsewhere=f"/v1/staff/{STAFF_THERE}/openings/{CASE_HERE}",
        nowhere=f"/v1/staff/{NOWHERE}/openings/{CASE_HERE}",
    ),
    ("GET", "/v1/event-types"): Expected("/v1/event-types", public=True),
    ("GET", "/v1/openapi.json"): Expected("/v1/openapi.json", public=True),
    ("GET", "/docs"): Expected("/docs", public=True),
    ("GET", "/docs/assets/{name}"): Expected(
        "/docs/assets/docs.css", public=True, nowhere="/docs/assets/index.html"
    ),
    ("GET", "/checkpoint"): Expected("/checkpoint", public=True),
    ("GET", "/tile/{level}/{index}"): Expected("/tile/0/000", public=True, nowhere="/tile/0/002"),
    ("GET", "/tile/entries/{index}"): Expected(
        "/tile/entries/000",
        frozenset(),
        frozenset(),
        unbound=frozenset({Role.AUDITOR, Role.INSPECTOR}),
        nowhere="/tile/entries/002",
    ),
    ("GET", "/healthz"): Expected("/healthz", public=True),
    ("GET", "/readyz"): Expected("/readyz", public=True),
    ("GET", "/"): Expected("/", public=True),
}
BY_NAME: Mapping[tuple[str, str], Route] = {
    (route.method, route.template): route for route in ROUTES
}
EVERY_ROUTE = pytest.mark.parametrize("name", list(BY_NAME), ids=" ".join)
EVERY_ROUTE_AND_ROLE = pytest.mark.parametrize(
    ("name", "role"),
    list(itertools.product(BY_NAME, Role)),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)


def test_every_route_is_expected() -> None:
    assert set(BY_NAME) == set(EXPECTED)


@pytest.fixture(autouse=True)
def _log(ledger: FakeLedger) -> None:
    ledger.add("case", HUB, stream_id=CASE_HERE)
    ledger.add("case", OTHER_HUB, stream_id=CASE_THERE)
    ledger.staff[STAFF_HERE] = "lewisham-council"
    ledger.staff[STAFF_THERE] = "other-council"


async def ask(
    client: Client, name: tuple[str, str], address: str, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    """The reply to a well-formed request; holds it to the statuses that the route documents."""
    method = name[0]
    sends = method in ("POST", "PUT")
    body = orjson.dumps(fresh()) if sends else None
    kind = {"Content-Type": "application/json"} if sends else {}
    reply = await client.request(method, address, data=body, headers={**READING, **kind, **headers})
    raw = await reply.read()
    document = await (await client.get("/v1/openapi.json")).json()
    documented = document["paths"][name[1]][method.lower()]["responses"]
    assert str(reply.status) in documented
    assert reply.headers["Content-Type"] in documented[str(reply.status)]["content"]
    return reply.status, raw


@EVERY_ROUTE
async def test_without_a_token(client: Client, name: tuple[str, str], ledger: FakeLedger) -> None:
    expected = EXPECTED[name]
    good = headers_for(ledger, credential(Role.DPO))["Authorization"]
    wrong = [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer hl_unknown"},
        {"Authorization": good.replace("Bearer", "Basic")},
        {"Authorization": good + " x"},
        {"Authorization": good + ","},
    ]
    for headers in wrong:
        ledger.calls.clear()
        status, raw = await ask(client, name, expected.address, headers)
        assert status == (200 if expected.public else 401)
        if not expected.public:
            assert orjson.loads(raw)["type"] == "urn:hub-ledger:problem:unauthenticated"
            assert ledger.calls == []


@EVERY_ROUTE_AND_ROLE
async def test_with_a_token_of_one_hub(
    client: Client, ledger: FakeLedger, name: tuple[str, str], role: Role
) -> None:
    expected = EXPECTED[name]
    headers = headers_for(ledger, credential(role))
    ledger.calls.clear()
    status, raw = await ask(client, name, expected.address, headers)
    if role in expected.answered:
        assert status in WELL
        assert OTHER_HUB.encode() not in raw or expected.public
        assert CASE_THERE.encode() not in raw
    elif role not in expected.routed or name == ("POST", "/v1/events"):
        assert status == 403
        assert ledger.calls == []
    else:
        assert status == 404
    await check_others(client, name, role, headers, raw, status)


async def check_others(
    client: Client,
    name: tuple[str, str],
    role: Role,
    headers: Mapping[str, str],
    raw: bytes,
    status: int,
) -> None:
    """What is another hub's and what is nowhere get the same bytes, whoever asks: 404 from those
    whose role could find something, and the one refusal from the rest."""
    expected = EXPECTED[name]
    replies = [
        await ask(client, name, address, headers)
        for address in (expected.elsewhere, expected.nowhere)
        if address is not None
    ]
    for reply in replies:
        if role in expected.routed:
            assert reply[0] == 404
            assert reply == replies[0]
        else:
            assert reply == (status, raw)


@EVERY_ROUTE_AND_ROLE
async def test_with_a_token_of_everything(
    client: Client, ledger: FakeLedger, name: tuple[str, str], role: Role
) -> None:
    expected = EXPECTED[name]
    headers = headers_for(ledger, credential(role, all=True))
    answered = expected.answered if expected.unbound is None else expected.unbound
    addresses = [expected.address, expected.elsewhere]
    for address in filter(None, addresses):
        status, _ = await ask(client, name, address, headers)
        assert (status in WELL) is (role in answered)
        assert status in (*WELL, 403, 404)
    if expected.nowhere is not None and role in answered:
        assert (await ask(client, name, expected.nowhere, headers))[0] == 404


@EVERY_ROUTE
async def test_other_methods_are_refused_alike_for_everybody(
    client: Client, ledger: FakeLedger, name: tuple[str, str]
) -> None:
    address = EXPECTED[name].address
    taken = {method for method, template in BY_NAME if template == name[1]}
    allowed = taken | ({"HEAD"} if "GET" in taken else set())
    for method in {"PUT", "DELETE", "PATCH", "POST", "OPTIONS"} - taken:
        reply = await client.request(method, address)
        assert reply.status == 405
        assert set(reply.headers["Allow"].split(", ")) == allowed
        problem = await reply.json(content_type="application/problem+json")
        assert problem["type"] == "urn:hub-ledger:problem:method-not-allowed"
    assert ledger.calls == []


@EVERY_ROUTE
async def test_head_is_get_without_the_body(
    client: Client, ledger: FakeLedger, name: tuple[str, str]
) -> None:
    if name[0] != "GET":
        return
    role = Role.DPO if EXPECTED[name].answered == CERTIFIES else Role.INSPECTOR
    headers = {**READING, **headers_for(ledger, credential(role, all=True))}
    got = await client.get(EXPECTED[name].address, headers=headers)
    head = await client.head(EXPECTED[name].address, headers=headers)
    assert head.status == got.status == 200
    assert await head.read() == b""
    for header in ("Content-Type", "Content-Length", "Cache-Control"):
        assert head.headers.get(header) == got.headers.get(header)
