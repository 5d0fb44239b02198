"""`/v1/events`: what is recorded, what the reply is, and what is refused before it is read."""

import asyncio
import gzip
import io
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest

from api import body
from api.body import BATCH_LIMIT, EVENT_LIMIT
from ledger.access import Role
from ledger.errors import DuplicateConflict, FieldError, VersionConflict
from tests.api.conftest import Client
from tests.api.events import HUB, OTHER_HUB, SECRET, example, fresh
from tests.api.fakes import FakeLedger

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
PLAIN = {"Content-Type": "application/json"}
Token = Callable[..., dict[str, str]]


async def problem_of(reply: Any, status: int, slug: str) -> dict[str, Any]:
    found: dict[str, Any] = await reply.json(content_type="application/problem+json")
    assert reply.status == status
    assert found["status"] == status
    assert found["type"] == f"urn:hub-ledger:problem:{slug}"
    assert found["title"]
    assert found["detail"]
    assert SECRET not in str(found)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Cache-Control"] == "no-store"
    return found


def pointers(problem: dict[str, Any]) -> list[str]:
    return [item["pointer"] for item in problem["errors"]]


async def test_one_event(client: Client, token: Token, ledger: FakeLedger) -> None:
    headers = {**token(), **STRUCTURED}
    event = fresh()
    first = await client.post("/v1/events", json=event, headers=headers)
    assert first.status == 201
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["Cache-Control"] == "no-store"
    reply = await first.json()
    assert reply == {
        "position": 0,
        "leaf_hash": reply["leaf_hash"],
        "stream": {"kind": "case", "id": event["subject"].split("/")[1], "version": 1},
        "recorded_at": "2026-03-02T09:00:00.000Z",
        "receipt": "c2sp.org/tlog-proof@v1\nindex 0\n",
        "findings": [],
    }
    assert len(reply["leaf_hash"]) == 64
    again = await client.post("/v1/events", json=event, headers=headers)
    assert again.status == 200
    assert await again.json() == reply
    assert len(ledger.entries) == 1


async def test_a_batch(client: Client, token: Token, ledger: FakeLedger) -> None:
    headers = {**token(), **BATCH}
    events = [fresh(), fresh()]
    first = await client.post("/v1/events", json=events, headers=headers)
    assert first.status == 201
    items = (await first.json())["items"]
    assert [item["position"] for item in items] == [0, 1]
    again = await client.post("/v1/events", json=events, headers=headers)
    assert again.status == 200
    assert await again.json() == {"items": items}
    mixed = await client.post("/v1/events", json=[*events, fresh()], headers=headers)
    assert mixed.status == 201
    assert [item["position"] for item in (await mixed.json())["items"]] == [0, 1, 2]
    assert len(ledger.entries) == 3


async def test_an_empty_batch(client: Client, token: Token, ledger: FakeLedger) -> None:
    reply = await client.post("/v1/events", data=b"[]", headers={**token(), **BATCH})
    assert reply.status == 200
    assert await reply.json() == {"items": []}
    assert ledger.calls == []


async def test_a_batch_of_one_is_answered_as_a_batch(client: Client, token: Token) -> None:
    reply = await client.post("/v1/events", json=[fresh()], headers={**token(), **PLAIN})
    assert list(await reply.json()) == ["items"]


async def test_a_bad_event_names_every_fault(
    client: Client, token: Token, ledger: FakeLedger
) -> None:
    event = {**example(), "id": SECRET, "hub": SECRET, SECRET: SECRET}
    event["data"] = {**event["data"], SECRET: SECRET}
    reply = await client.post("/v1/events", json=event, headers={**token(), **STRUCTURED})
    problem = await problem_of(reply, 400, "invalid-event")
    assert {"/id", "/hub", "/?"} <= set(pointers(problem))
    assert any(pointer.startswith("/data") for pointer in pointers(problem))
    assert ledger.calls == []


async def test_bad_data_alone_is_named_for_every_event_of_a_batch(
    client: Client, token: Token, ledger: FakeLedger
) -> None:
    headers = {**token(), **PLAIN}
    good = fresh()
    required = next(iter(good["data"]))
    bad = [{name: value for name, value in good["data"].items() if name != required}, {}]
    batch = [fresh(), *(fresh(data=data) for data in bad)]
    reply = await client.post("/v1/events", json=batch, headers=headers)
    found = pointers(await problem_of(reply, 400, "invalid-event"))
    assert {f"/1/data/{required}", f"/2/data/{required}"} <= set(found)
    reply = await client.post("/v1/events", json=[fresh(data={})], headers=headers)
    found = pointers(await problem_of(reply, 400, "invalid-event"))
    assert f"/0/data/{required}" in found
    reply = await client.post("/v1/events", json=fresh(data={}), headers=headers)
    assert f"/data/{required}" in pointers(await problem_of(reply, 400, "invalid-event"))
    assert ledger.entries == []


async def test_out_of_scope_names_the_members(
    client: Client, token: Token, ledger: FakeLedger
) -> None:
    headers = {**token(), **PLAIN}
    event = fresh(hub=OTHER_HUB, source="other-cases", organisation="other-council")
    reply = await client.post("/v1/events", json=event, headers=headers)
    problem = await problem_of(reply, 403, "out-of-scope")
    assert pointers(problem) == ["/hub", "/organisation", "/source"]
    batch = [fresh(), fresh(hub=OTHER_HUB), fresh(source="other-cases")]
    reply = await client.post("/v1/events", json=batch, headers=headers)
    problem = await problem_of(reply, 403, "out-of-scope")
    assert pointers(problem) == ["/1/hub", "/2/source"]
    assert ledger.calls == []


async def test_a_submitter_never_erases(client: Client, token: Token, ledger: FakeLedger) -> None:
    erasure = fresh("erasure.executed")
    reply = await client.post("/v1/events", json=erasure, headers={**token(), **PLAIN})
    problem = await problem_of(reply, 403, "forbidden")
    assert pointers(problem) == ["/type"]
    batch = [fresh(), erasure]
    reply = await client.post("/v1/events", json=batch, headers={**token(), **PLAIN})
    assert pointers(await problem_of(reply, 403, "forbidden")) == ["/1/type"]
    assert ledger.calls == []
    reply = await client.post("/v1/events", json=erasure, headers={**token(Role.DPO), **PLAIN})
    assert reply.status == 201


async def test_reserved_types(client: Client, token: Token) -> None:
    reply = await client.post(
        "/v1/events", json=example(type="schema.registered"), headers={**token(), **PLAIN}
    )
    assert pointers(await problem_of(reply, 403, "reserved-type")) == ["/type"]


async def test_conflicts_come_through(client: Client, token: Token, ledger: FakeLedger) -> None:
    headers = {**token(), **PLAIN}
    ledger.failure = VersionConflict(
        "The stream is at another version.",
        [FieldError("/expectedversion", "is not the stream's version")],
        {"current_version": 4, "status": 200},
    )
    reply = await client.post("/v1/events", json=fresh(), headers=headers)
    problem = await problem_of(reply, 409, "version-conflict")
    assert problem["current_version"] == 4
    reply = await client.post("/v1/events", json=[fresh()], headers=headers)
    problem = await problem_of(reply, 409, "version-conflict")
    assert pointers(problem) == ["/0/expectedversion"]
    ledger.failure = DuplicateConflict("Another event has this id.")
    reply = await client.post("/v1/events", json=fresh(), headers=headers)
    await problem_of(reply, 409, "duplicate-conflict")


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"a":1,"a":2}', b"\xff", b"\xef\xbb\xbf{}", b"[" * 50 + b"]" * 50]
)
async def test_malformed_json(client: Client, token: Token, text: bytes) -> None:
    reply = await client.post("/v1/events", data=text, headers={**token(), **STRUCTURED})
    await problem_of(reply, 400, "malformed-json")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "application/json;charset=latin-1"]
)
async def test_media_types(client: Client, token: Token, content_type: str) -> None:
    headers = {**token(), "Content-Type": content_type}
    reply = await client.post("/v1/events", data=b"{}", headers=headers)
    await problem_of(reply, 415, "unsupported-media-type")


async def test_a_compressed_body_is_refused(client: Client, token: Token) -> None:
    headers = {**token(), **STRUCTURED, "Content-Encoding": "gzip"}
    bomb = gzip.compress(bytes(50_000_000))
    reply = await client.post("/v1/events", data=bomb, headers=headers)
    await problem_of(reply, 415, "unsupported-media-type")


class TestSizes:
    """Limits hold whether or not the size is declared."""

    @pytest.mark.parametrize(
        ("headers", "opening", "limit"),
        [
            (STRUCTURED, b"{", EVENT_LIMIT),
            (STRUCTURED, b"[", EVENT_LIMIT),
            (PLAIN, b" \n {", EVENT_LIMIT),
            (PLAIN, b"\n\t[", BATCH_LIMIT),
            (BATCH, b"[", BATCH_LIMIT),
            ({**PLAIN, "ce-id": "1"}, b"[", EVENT_LIMIT),
        ],
    )
    @pytest.mark.parametrize("declared", [True, False])
    async def test_over_and_at_the_limit(
        self,
        client: Client,
        token: Token,
        headers: dict[str, str],
        opening: bytes,
        limit: int,
        declared: bool,
    ) -> None:
        async def chunks(size: int) -> AsyncIterator[bytes]:
            yield opening
            for start in range(len(opening), size, 60_000):
                yield b" " * min(60_000, size - start)

        async def status(size: int) -> Any:
            data = io.BytesIO(opening.ljust(size)) if declared else chunks(size)
            return await client.post("/v1/events", data=data, headers={**token(), **headers})

        await problem_of(await status(limit + 1), 413, "too-large")
        await problem_of(await status(limit), 400, "malformed-json")

    async def test_a_declared_size_is_refused_before_a_byte_is_read(
        self, client: Client, token: Token
    ) -> None:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        lines = ["POST /v1/events HTTP/1.1", "Host: ledger", f"Content-Length: {10**12}"]
        lines += [f"{name}: {value}" for name, value in {**token(), **STRUCTURED}.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"application/problem+json" in head
        writer.close()

    async def test_no_more_is_read_than_shows_that_it_is_too_much(
        self, client: Client, token: Token, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes: list[int] = []
        check = body._check

        def watch(size: int, limit: int) -> None:
            sizes.append(size)
            check(size, limit)

        monkeypatch.setattr(body, "_check", watch)

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b" " * 50_000

        reply = await client.post("/v1/events", data=endless(), headers={**token(), **STRUCTURED})
        await problem_of(reply, 413, "too-large")
        assert max(sizes) < 2 * EVENT_LIMIT

    async def test_a_body_that_stops_arriving(
        self, client: Client, token: Token, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(body, "TIMEOUT", 0.05)
        over = asyncio.Event()

        async def stalled() -> AsyncIterator[bytes]:
            yield b"{"
            await over.wait()

        reply = await client.post("/v1/events", data=stalled(), headers={**token(), **STRUCTURED})
        await problem_of(reply, 408, "request-timeout")
        over.set()


class TestFeed:
    """Entries by position."""

    async def test_a_page(self, client: Client, token: Token, ledger: FakeLedger) -> None:
        ledger.add("case", HUB)
        ledger.add("restricted", HUB)
        ledger.add("case", HUB)
        reply = await client.get("/v1/events?after=0&limit=5&hub=" + HUB, headers=token())
        assert reply.status == 200
        assert reply.headers["Cache-Control"] == "no-store"
        page = await reply.json()
        assert page["next_after"] == 2
        assert page["tree_size"] == 3
        assert [item["position"] for item in page["items"]] == [2]
        assert ledger.calls[-1] == ("feed", (0, 5, None, HUB, None, None))

    async def test_an_entry_is_in_a_page_byte_for_byte(
        self, client: Client, token: Token, ledger: FakeLedger
    ) -> None:
        ledger.add("case", HUB)
        raw = await (await client.get("/v1/events", headers=token())).read()
        assert b'{"position":0,"entry":' + ledger.raw(0) + b"}" in raw
        assert ledger.calls[-1] == ("feed", (-1, 100, None, None, None, None))

    async def test_types(self, client: Client, token: Token, ledger: FakeLedger) -> None:
        query = "/v1/events?types=case.closed,ledger.opened"
        assert (await client.get(query, headers=token())).status == 200
        wanted = frozenset({"case.closed", "ledger.opened"})
        assert ledger.calls[-1] == ("feed", (-1, 100, wanted, None, None, None))

    @pytest.mark.parametrize(
        ("query", "faults"),
        [
            ("after=-2", ["?after"]),
            ("after=x", ["?after"]),
            ("after=-0", ["?after"]),
            ("after=01", ["?after"]),
            ("after=9999999999999999999999", ["?after"]),
            ("after=", ["?after"]),
            ("after=%D9%A1", ["?after"]),
            ("limit=0", ["?limit"]),
            ("limit=1001", ["?limit"]),
            ("hub=Lewisham", ["?hub"]),
            ("types=", ["?types"]),
            ("types=person.suspected", ["?types"]),
            ("types=case.closed,,", ["?types"]),
            ("after=1&after=2", ["?after"]),
            ("surname=Example", ["?"]),
            ("after=x&limit=x&hub=x&types=x&y=1", ["?", "?after", "?hub", "?limit", "?types"]),
        ],
    )
    async def test_a_bad_query_names_every_fault(
        self, client: Client, token: Token, ledger: FakeLedger, query: str, faults: list[str]
    ) -> None:
        reply = await client.get(f"/v1/events?{query}", headers=token())
        assert pointers(await problem_of(reply, 400, "invalid-request")) == faults
        assert ledger.calls == []


async def test_what_the_parser_is_given_is_what_was_sent(
    client: Client, token: Token, ledger: FakeLedger
) -> None:
    event = fresh(expectedversion=0)
    headers = {**token(), **PLAIN}
    headers.update({f"CE-{name}": str(value) for name, value in event.items() if name != "data"})
    del headers["CE-datacontenttype"]
    reply = await client.post("/v1/events", data=orjson.dumps(event["data"]), headers=headers)
    assert reply.status == 201
    assert ledger.submissions[0].expected_version == 0
    assert ledger.submissions[0].data == event["data"]
