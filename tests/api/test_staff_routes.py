"""`/v1/staff` as HTTP sees it: what reaches the ledger, and what is refused before that."""

import json
from typing import Any

import pytest

from ledger.access import Role
from ledger.errors import OpeningNotWaiting, SecondPersonRequired
from tests.api.conftest import Client, headers_for
from tests.api.events import ACTOR, SECRET, credential
from tests.api.fakes import FakeLedger

REFERENCE = "aaaaaaaa-0000-4000-8000-000000000004"
OPENING = "aaaaaaaa-0000-4000-8000-000000000006"
PERSON = {"name": SECRET, "staff_number": "P-90417", "position": "Caseworker"}
ASKED = {"body": "lewisham-audit", "power": "controllers-own-monitoring"}
ADDRESSES = (f"/v1/staff/{REFERENCE}/openings", f"/v1/staff/{REFERENCE}/openings/{OPENING}")
WHO = {"Actor": ACTOR, "Purpose-Of-Use": "s62-4-b"}


@pytest.fixture
def standards(ledger: FakeLedger) -> dict[str, str]:
    ledger.staff[REFERENCE] = "lewisham-council"
    return {**headers_for(ledger, credential(Role.STANDARDS)), **WHO}


async def test_registering(client: Client, ledger: FakeLedger, token: Any) -> None:
    headers = {**token(Role.SUBMITTER), "Actor": ACTOR}
    reply = await client.put(f"/v1/staff/{REFERENCE}", json=PERSON, headers=headers)
    assert reply.status == 201
    assert await reply.json() == {
        "reference": REFERENCE,
        "organisation": "lewisham-council",
        "from": "2026-03-02",
        "until": "2027-03-02",
    }
    assert ledger.calls == [("register_staff", (REFERENCE, PERSON, ACTOR))]
    assert reply.headers["Cache-Control"] == "no-store"


async def test_the_two_steps(client: Client, ledger: FakeLedger, standards: dict[str, str]) -> None:
    asked, confirmed = [
        await client.post(address, json=ASKED, headers=standards) for address in ADDRESSES
    ]
    assert (asked.status, confirmed.status) == (202, 200)
    assert (await asked.json()).keys() == {"opening", "expires_at"}
    assert ledger.calls == [
        ("request_staff", (REFERENCE, ASKED, ACTOR, "s62-4-b")),
        ("confirm_staff", (REFERENCE, OPENING, ASKED, ACTOR, "s62-4-b")),
    ]
    assert confirmed.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (SecondPersonRequired("Another person."), 403, "second-person-required"),
        (OpeningNotWaiting("Ask again."), 409, "opening-not-waiting"),
    ],
)
async def test_refusals_of_their_own(
    client: Client,
    ledger: FakeLedger,
    standards: dict[str, str],
    error: Exception,
    status: int,
    slug: str,
) -> None:
    ledger.failure = error
    reply = await client.post(ADDRESSES[1], json=ASKED, headers=standards)
    assert reply.status == status
    assert (await reply.json(content_type=None))["type"] == f"urn:hub-ledger:problem:{slug}"


async def test_what_is_refused_before_the_ledger(
    client: Client, ledger: FakeLedger, standards: dict[str, str], token: Any
) -> None:
    machine = {**headers_for(ledger, credential(Role.STANDARDS, machine=True)), **WHO}
    nobody = {name: value for name, value in standards.items() if name != "Actor"}
    submitter, here = token(Role.SUBMITTER), f"/v1/staff/{REFERENCE}"
    as_json, text = "application/json", "text/plain"
    tried: list[tuple[str, str, dict[str, str], bytes, str, int]] = [
        ("POST", ADDRESSES[0], machine, b"{}", as_json, 403),
        ("POST", ADDRESSES[1], machine, b"{}", as_json, 403),
        ("POST", ADDRESSES[0], nobody, b"{}", as_json, 400),
        ("POST", ADDRESSES[1].replace(OPENING, "1"), standards, b"{}", as_json, 404),
        ("POST", ADDRESSES[0] + "?name=x", standards, b"{}", as_json, 400),
        ("PUT", here, submitter, f'{{"name": "{SECRET}"'.encode(), as_json, 400),
        ("PUT", here, submitter, f'{{"name": "{SECRET}", "name": "x"}}'.encode(), as_json, 400),
        ("PUT", here, submitter, b" " * (16 * 1024 + 1), as_json, 413),
        ("PUT", here, submitter, b"{}", text, 415),
        ("PUT", "/v1/staff/Rosalind", submitter, b"{}", as_json, 400),
        ("GET", here, submitter, b"", as_json, 405),
        ("GET", "/v1/staff", submitter, b"", as_json, 404),
    ]
    for method, address, headers, body, kind, status in tried:
        reply = await client.request(
            method, address, data=body, headers={**headers, "Content-Type": kind}
        )
        assert reply.status == status, (method, address)
        assert SECRET not in await reply.text()
    assert ledger.calls == []
    reply = await client.put(f"/v1/staff/{SECRET}", json=PERSON, headers=submitter)
    problem = await reply.json()
    assert problem["type"].endswith(":invalid-request")
    assert [one["pointer"] for one in problem["errors"]] == ["{reference}"]
    assert SECRET not in json.dumps(problem)
