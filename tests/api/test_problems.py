"""Problems: every type reachable, documented and mute about values; nothing leaks on a failure."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.problems import PROBLEMS, problem, shown_pointer
from ledger import errors
from ledger.access import Role
from ledger.errors import FieldError, LedgerError
from ledger_verifier.formats.entry import StreamRef
from tests.api.conftest import Client
from tests.api.events import ACTOR, HUB, SECRET, fresh
from tests.api.fakes import FakeLedger
from tests.api.test_events_route import problem_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "problems.md"
JSON = {"Content-Type": "application/json"}
Token = Callable[..., dict[str, str]]
#: Errors that no reply ever shows: they stop the service, or a command.
INTERNAL = {"internal-error", "configuration", "integrity-alarm"}


def ledger_errors() -> list[type[LedgerError]]:
    return [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, LedgerError)
    ]


def test_every_error_of_the_ledger_has_a_problem() -> None:
    slugs = {error.slug for error in ledger_errors()}
    assert slugs - INTERNAL <= set(PROBLEMS)


def test_every_problem_is_documented_and_no_other() -> None:
    documented = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", DOCUMENT.read_text(), re.M))
    assert documented == {slug: str(kind.status) for slug, kind in PROBLEMS.items()}


@pytest.mark.parametrize("kind", ledger_errors(), ids=lambda kind: kind.slug)
async def test_every_error_of_the_ledger_as_a_reply(
    client: Client, token: Token, ledger: FakeLedger, kind: type[LedgerError]
) -> None:
    ledger.failure = kind() if kind is errors.NotFound else kind("What to do.")
    headers = {**token(), **JSON}
    reply = await client.post("/v1/events", json=fresh(), headers=headers)
    slug = "internal-error" if kind.slug in INTERNAL else kind.slug
    expected = PROBLEMS[slug]
    found = await problem_of(reply, expected.status, slug)
    assert ("Retry-After" in reply.headers) is (expected.status == 503)
    assert ("WWW-Authenticate" in reply.headers) is (expected.status == 401)
    if slug == "internal-error":
        assert found["detail"] != "What to do."


async def test_unauthenticated_says_how(client: Client) -> None:
    reply = await client.get("/v1/events")
    await problem_of(reply, 401, "unauthenticated")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("address", ["/nothing", "/v1", "/v1/entries", "/v1/events/", "/docs/"])
async def test_no_such_route(client: Client, address: str) -> None:
    reply = await client.get(address)
    await problem_of(reply, 404, "not-found")


@pytest.mark.parametrize(
    "address",
    [
        "/v1/entries/99",
        "/v1/entries/-1",
        "/v1/entries/01",
        "/v1/entries/x",
        "/v1/entries/9007199254740993",
        "/v1/entries/%D9%A1",
        "/v1/entries/99999999999999999999999999",
        "/v1/cases/x",
        "/v1/cases/AAAAAAAA-0000-4000-8000-000000000001",
        "/v1/cases/aaaaaaaa-0000-4000-8000-000000000009",
        "/tile/0/2",
        "/tile/64/000",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/00/000",
        "/tile/entries/x000/000",
        "/no/such/route",
    ],
)
async def test_every_404_has_the_same_bytes(
    client: Client, token: Token, ledger: FakeLedger, address: str
) -> None:
    headers = {**token(Role.INSPECTOR, all=True), "Actor": ACTOR}
    reply = await client.get(address, headers=headers)
    plain = await client.get("/nothing")
    await problem_of(reply, 404, "not-found")
    assert await reply.read() == await plain.read()
    volatile = {"Date"}
    assert {k: v for k, v in reply.headers.items() if k not in volatile} == {
        k: v for k, v in plain.headers.items() if k not in volatile
    }


async def test_a_failure_inside_says_nothing_and_logs_no_value(
    client: Client, token: Token, ledger: FakeLedger
) -> None:
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as inner:
            raise RuntimeError(f"input_value={SECRET}") from inner
    except RuntimeError as error:
        ledger.failure = error
    ledger.add("case", HUB)
    with capture_logs() as logs:
        reply = await client.get("/v1/entries/0", headers=token())
    await problem_of(reply, 500, "internal-error")
    (line,) = logs
    assert line["route"] == "/v1/entries/{position}"
    assert line["error"] == ["RuntimeError", "ValueError"]
    assert line["frames"]
    assert SECRET not in str(line)
    assert all(re.fullmatch(r"[\w.]+:\d+ \S+", frame) for frame in line["frames"])


async def test_neither_query_nor_header_nor_body_is_logged(
    client: Client, token: Token, ledger: FakeLedger
) -> None:
    ledger.failure = KeyError(SECRET)
    headers = {**token(), **JSON}
    with capture_logs() as logs:
        await client.get("/v1/events?after=7", headers=headers)
        await client.post("/v1/events", json=fresh(), headers=headers)
        await client.get(f"/{SECRET}?q={SECRET}", headers={"X-Name": SECRET})
    assert len(logs) == 2
    text = str(logs)
    assert SECRET not in text
    assert "after" not in text
    assert headers["Authorization"].split()[1] not in text


async def test_cancelling_a_request_is_not_a_failure(
    client: Client, token: Token, ledger: FakeLedger
) -> None:
    ledger.failure = asyncio.CancelledError()  # type: ignore[assignment]  # no Exception
    with capture_logs() as logs, pytest.raises(Exception):  # noqa: B017, PT011 (the client's)
        await client.get("/v1/events", headers=token())
    assert logs == []


async def test_a_person_is_named_to_read_a_case(
    client: Client, token: Token, ledger: FakeLedger
) -> None:
    case_id = "aaaaaaaa-0000-4000-8000-000000000001"
    ledger.add("case", HUB, stream_id=case_id)
    address = f"/v1/cases/{case_id}"
    person, machine = token(Role.COORDINATOR), token(Role.COORDINATOR, machine=True)
    found = await problem_of(await client.get(address, headers=person), 400, "actor-required")
    assert found["errors"] == [{"pointer": "Actor", "detail": "is required"}]
    assert (await client.get(address, headers=machine)).status == 200
    named = {**person, "Actor": ACTOR}
    assert (await client.get(f"{address}?at=7", headers=named)).status == 200
    assert ledger.calls == [("case", (case_id, None, None)), ("case", (case_id, ACTOR, 7))]
    for headers in ({**person, "Actor": SECRET}, {**machine, "Actor": SECRET}):
        reply = await client.get(address, headers=headers)
        found = await problem_of(reply, 400, "invalid-request")
        assert [item["pointer"] for item in found["errors"]] == ["Actor"]
    reply = await client.get(f"{address}?at=-1", headers=named)
    await problem_of(reply, 400, "invalid-request")


async def test_a_purpose_is_named_to_open_sealed_fields(
    client: Client, token: Token, ledger: FakeLedger
) -> None:
    position = ledger.add("case", HUB)
    address = f"/v1/entries/{position}/sealed"
    headers = {**token(Role.DPO), "Actor": ACTOR}
    await problem_of(await client.get(address, headers=headers), 403, "purpose-required")
    reply = await client.get(address, headers={**headers, "Purpose-Of-Use": SECRET})
    await problem_of(reply, 400, "invalid-request")
    reply = await client.get(address, headers={**headers, "Purpose-Of-Use": "rights-request"})
    assert reply.status == 200
    assert (await reply.json())["position"] == position
    assert ledger.calls[-1] == ("open_entry", (position, ACTOR, "rights-request"))


async def test_a_bundle_is_a_file_whose_name_says_nothing(
    client: Client, token: Token, ledger: FakeLedger
) -> None:
    case_id = "aaaaaaaa-0000-4000-8000-000000000001"
    ledger.add("case", HUB, stream_id=case_id)
    headers = {**token(Role.DPO), "Actor": ACTOR}
    reply = await client.get(f"/v1/cases/{case_id}/bundle", headers=headers)
    assert reply.headers["Content-Type"] == "application/zip"
    assert reply.headers["Content-Disposition"] == 'attachment; filename="bundle.zip"'
    assert ledger.calls[-1] == (
        "bundle",
        (StreamRef("case", case_id), None, None, None, None, ACTOR, None, None),
    )


async def test_a_pack_is_asked_for_by_its_reader(
    client: Client, token: Token, ledger: FakeLedger
) -> None:
    case_id = "aaaaaaaa-0000-4000-8000-000000000001"
    ledger.add("case", HUB, stream_id=case_id)
    headers = {**token(Role.DPO), "Actor": ACTOR, "Purpose-Of-Use": "inspection"}
    address = f"/v1/cases/{case_id}/bundle"
    for query in (
        "for=public",
        "recipient=ico",
        "expires=2026-12-01",
        "for=auditor&for=auditor",
        "at=-1",
    ):
        reply = await client.get(f"{address}?{query}", headers=headers)
        await problem_of(reply, 400, "invalid-request")
    reply = await client.get(
        f"{address}?for=auditor&recipient=ico&expires=2026-12-01&at=300",
        headers={**headers, "Bulk-Reason": "inspection"},
    )
    assert reply.status == 200
    stream = StreamRef("case", case_id)
    named = ("auditor", 300, "ico", "2026-12-01", ACTOR, "inspection", "inspection")
    assert ledger.calls[-1] == ("bundle", (stream, *named))


@pytest.mark.parametrize(
    ("pointer", "shown"),
    [
        ("/data/purpose", "/data/purpose"),
        ("/12/data/a_b2/0", "/12/data/a_b2/0"),
        ("/data/" + SECRET, "/data/?"),
        ("/data/Ahmed", "/data/?"),
        ("/data//x", "/data/?/x"),
        ("/", "/?"),
        ("", ""),
        ("?after", "?after"),
        ("Actor", "Actor"),
    ],
)
def test_pointers(pointer: str, shown: str) -> None:
    assert shown_pointer(pointer) == shown


def body_of(fields: list[FieldError], extra: dict[str, Any] | None = None) -> dict[str, Any]:
    import orjson

    raw = problem("invalid-event", "What to do.", fields, extra).body
    assert isinstance(raw, bytes)
    found: dict[str, Any] = orjson.loads(raw)
    return found


def test_fields_are_in_reading_order_and_once() -> None:
    pointers = ["/10/id", "/2/time", "/2/id", "/2/id", "/10", "/data"]
    found = body_of([FieldError(pointer, "is bad") for pointer in pointers])
    shown = [item["pointer"] for item in found["errors"]]
    assert shown == ["/data", "/2/id", "/2/time", "/10", "/10/id"]


def test_a_flood_of_fields_is_cut_and_counted() -> None:
    found = body_of([FieldError(f"/{index}/id", "is bad") for index in range(1500)])
    assert len(found["errors"]) == 1000
    assert found["errors_omitted"] == 500


def test_extra_members_cannot_replace_the_problems_own() -> None:
    found = body_of([], {"status": 200, "type": "x", "detail": "y", "current_version": 3})
    assert (found["status"], found["detail"], found["current_version"]) == (400, "What to do.", 3)
