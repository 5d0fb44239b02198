"""How the demonstration posts: order within a stream, batches for content, an end to trouble."""

from collections import defaultdict
from typing import Any

import orjson
import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from demo.client import BATCH, ONE, Receipted, record
from demo.service import DemoError
from demo.simulate import events


class Ledger:
    """Takes every event and remembers how each came; refuses from a given request on."""

    def __init__(self, refuse_from: int | None = None) -> None:
        self.requests: list[tuple[str, list[dict[str, Any]]]] = []
        self._refuse_from = refuse_from

    async def post(self, request: web.Request) -> web.Response:
        """Answer as `POST /v1/events` does."""
        body = orjson.loads(await request.read())
        batch = body if isinstance(body, list) else [body]
        self.requests.append((request.headers["Content-Type"], batch))
        if self._refuse_from is not None and len(self.requests) > self._refuse_from:
            return web.json_response({"title": "no"}, status=400)
        items = [{"position": 0, "id": event["id"]} for event in batch]
        answer = {"items": items} if isinstance(body, list) else items[0]
        return web.json_response(answer, status=201)


async def _serve(server: AiohttpServer, ledger: Ledger) -> str:
    app = web.Application()
    app.router.add_post("/v1/events", ledger.post)
    return str((await server(app)).make_url("/")).rstrip("/")


async def test_every_event_is_posted_once_and_in_order_within_its_stream(
    aiohttp_server: AiohttpServer,
) -> None:
    ledger = Ledger()
    year = list(events(3, cases=10, referrals=30))
    told: list[Receipted] = []
    await record(await _serve(aiohttp_server, ledger), "token", year, told.extend)
    posted = [event for _, batch in ledger.requests for event in batch]
    assert sorted(event["id"] for event in posted) == sorted(event["id"] for event in year)
    assert all(receipted.reply["id"] == receipted.event["id"] for receipted in told)
    assert len(told) == len(year)
    streams = defaultdict(list)
    for event in posted:
        streams[event["subject"]].append(event["time"])
    assert all(times == sorted(times) for times in streams.values())


async def test_content_comes_in_batches_and_cases_one_by_one(
    aiohttp_server: AiohttpServer,
) -> None:
    ledger = Ledger()
    year = list(events(3, cases=5, referrals=20))
    await record(await _serve(aiohttp_server, ledger), "token", year, lambda _: None)
    assert {kind for kind, _ in ledger.requests} == {ONE, BATCH}
    for kind, batch in ledger.requests:
        if kind == BATCH:
            assert all(event["subject"].startswith("content/") for event in batch)


async def test_a_refusal_stops_the_recording(aiohttp_server: AiohttpServer) -> None:
    ledger = Ledger(refuse_from=3)
    url = await _serve(aiohttp_server, ledger)
    with pytest.raises(DemoError, match="refused with 400"):
        await record(url, "token", events(3, cases=10, referrals=0), lambda _: None)


async def test_no_service_is_said_plainly() -> None:
    with pytest.raises(DemoError):
        await record("http://127.0.0.1:1", "token", events(3, 1, 0), lambda _: None)
