"""What anybody may read, and the headers it travels with."""

import orjson
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from yarl import URL

from api.app import SECURITY_HEADERS
from api.routes.docs import ASSETS, POLICY
from ledger.access import Role
from ledger.catalogue import CATALOGUE
from tests.api.conftest import Client, headers_for
from tests.api.events import credential
from tests.api.fakes import FakeLedger


@pytest.mark.parametrize(
    ("address", "content_type", "cache", "open_to_scripts"),
    [
        ("/checkpoint", "text/plain; charset=utf-8", "no-cache", True),
        (
            "/tile/0/000",
            "application/octet-stream",
            "public, max-age=31536000, immutable",
            True,
        ),
        (
            "/tile/0/001.p/44",
            "application/octet-stream",
            "public, max-age=31536000, immutable",
            True,
        ),
        ("/tile/0/001", "application/problem+json", "no-store", False),
        ("/tile/1/000.p/1", "application/problem+json", "no-store", False),
        ("/tile/entries/000", "application/octet-stream", "private, no-store", False),
        ("/tile/entries/001", "application/problem+json", "no-store", False),
        ("/v1/event-types", "application/json", "no-store", False),
        ("/v1/openapi.json", "application/json", "no-store", False),
        ("/healthz", "application/json", "no-store", False),
        ("/readyz", "application/json", "no-store", False),
        ("/", "text/html; charset=utf-8", "no-cache", False),
        ("/nothing", "application/problem+json", "no-store", False),
    ],
)
async def test_headers(
    client: Client,
    ledger: FakeLedger,
    address: str,
    content_type: str,
    cache: str,
    open_to_scripts: bool,
) -> None:
    headers = headers_for(ledger, credential(Role.AUDITOR, all=True))
    reply = await client.get(address, headers=headers)
    assert reply.headers["Content-Type"] == content_type
    assert reply.headers["Cache-Control"] == cache
    assert reply.headers.get("Access-Control-Allow-Origin") == ("*" if open_to_scripts else None)
    for name, value in SECURITY_HEADERS.items():
        assert reply.headers.getall(name) == [value]
    assert "aiohttp" not in str(reply.headers)


@pytest.mark.parametrize("address", ["/docs", *(f"/docs/assets/{name}" for name in ASSETS)])
async def test_the_page_of_the_interface(client: Client, address: str) -> None:
    reply = await client.get(address)
    raw = await reply.read()
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith(("text/html", "text/css", "text/javascript"))
    assert reply.headers.getall("Content-Security-Policy") == [POLICY]
    for name in set(SECURITY_HEADERS) - {"Content-Security-Policy"}:
        assert reply.headers.getall(name) == [SECURITY_HEADERS[name]]
    assert reply.headers["Cache-Control"] in ("no-cache", "public, max-age=3600")
    if address == "/docs":
        assert b"<script>" not in raw
        assert b"style=" not in raw
        assert b"//" not in raw


@pytest.mark.parametrize("name", ["index.html", "VENDORED.toml", "..%2f..%2fapp.py", "docs.css%00"])
async def test_no_other_file_is_served(client: Client, name: str) -> None:
    reply = await client.get(URL(f"/docs/assets/{name}", encoded=True))
    assert reply.status == 404
    assert reply.headers.getall("Content-Security-Policy") == [
        SECURITY_HEADERS["Content-Security-Policy"]
    ]


async def test_tiles_and_bundles_are_bytes_of_their_width(
    client: Client, ledger: FakeLedger
) -> None:
    headers = headers_for(ledger, credential(Role.AUDITOR, all=True))
    assert len(await (await client.get("/tile/0/001.p/7")).read()) == 7 * 32
    reply = await client.get("/tile/entries/001.p/44", headers=headers)
    assert len(await reply.read()) == 2 * 44


async def test_event_types(client: Client) -> None:
    types = (await (await client.get("/v1/event-types")).json())["types"]
    assert [item["type"] for item in types] == [item.type for item in CATALOGUE.types()]
    for item in types:
        assert list(item) == [
            "type",
            "schema",
            "family",
            "description",
            "duty",
            "json_schema",
            "fields",
            "service_added",
            "example",
        ]
        Draft202012Validator.check_schema(item["json_schema"])
        Draft202012Validator(item["json_schema"]).validate(item["example"]["data"])
        assert set(item["fields"].values()) <= {"open", "coded", "personal", "attribution"}
        submitted = set(item["fields"]) - set(item["service_added"])
        assert submitted == set(item["json_schema"]["properties"])


async def test_readiness(client: Client, ledger: FakeLedger) -> None:
    reply = await client.get("/readyz")
    assert reply.status == 200
    assert await reply.json() == {
        "ready": True,
        "tree_size": 300,
        "published_size": 256,
        "projected_size": 290,
    }
    ledger.ready = False
    reply = await client.get("/readyz")
    assert reply.status == 503
    assert reply.headers["Retry-After"]
    assert (await reply.json())["ready"] is False
    ledger.ready = True
    ledger.closed.set_result("the writer ended")
    assert (await client.get("/readyz")).status == 503
    assert (await client.get("/healthz")).status == 200


async def test_the_page_loads_nothing(client: Client) -> None:
    page = await (await client.get("/")).text()
    for mark in ("<script", "<link", "<img", "<style", "style=", "<form", "http"):
        assert mark not in page
    for address in ("/checkpoint", "/v1/event-types", "/v1/openapi.json", "/readyz"):
        assert f'href="{address}"' in page
        assert (await client.get(address)).status == 200


async def test_json_is_made_once(client: Client) -> None:
    first = await (await client.get("/v1/event-types")).read()
    assert first == await (await client.get("/v1/event-types")).read()
    orjson.loads(first)
