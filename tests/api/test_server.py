"""The server: how it starts and stops, and what it says to what is not HTTP."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession
from structlog.testing import capture_logs

from api import server
from api.serving import serve_app
from tests.api.conftest import headers_for
from tests.api.events import SECRET, credential
from tests.api.fakes import FakeLedger


class SlowLedger(FakeLedger):
    """A ledger whose feed waits to be let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()

    async def feed(self, *arguments: Any, **named: Any) -> Any:
        self.reached.set()
        await self.let_go.wait()
        return [], 0, 0


class Service:
    """A service under way: where it listens, and the exit code it will end with."""

    def __init__(self, ledger: FakeLedger) -> None:
        loop = asyncio.get_running_loop()
        said: asyncio.Future[str] = loop.create_future()
        self.said = said
        self.ended = asyncio.ensure_future(serve_app(ledger, "127.0.0.1", 0, said.set_result))

    async def address(self) -> str:
        line = await asyncio.wait_for(asyncio.shield(self.said), 10)
        assert line.startswith("listening on http://127.0.0.1:")
        return line.removeprefix("listening on ")

    async def port(self) -> int:
        return int((await self.address()).rpartition(":")[2])

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self.ended, 10)


@pytest.fixture
async def slow() -> SlowLedger:
    return SlowLedger()


@pytest.fixture
async def service(slow: SlowLedger) -> AsyncIterator[Service]:
    service = Service(slow)
    yield service
    slow.let_go.set()
    if not service.ended.done():
        await service.address()
        os.kill(os.getpid(), signal.SIGTERM)
        await service.exit_code()


async def refuses_connections(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            writer.close()


async def get(address: str, headers: Mapping[str, str]) -> int:
    async with ClientSession() as session, session.get(address, headers=headers) as reply:
        await reply.read()
        return reply.status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_it_finishes_what_is_under_way(
    slow: SlowLedger, service: Service, number: signal.Signals
) -> None:
    address = await service.address()
    headers = headers_for(slow, credential())
    under_way = asyncio.ensure_future(get(f"{address}/v1/events", headers))
    await asyncio.wait_for(slow.reached.wait(), 10)
    os.kill(os.getpid(), number)
    await refuses_connections(await service.port())
    assert not under_way.done()
    slow.let_go.set()
    assert await under_way == 200
    assert await service.exit_code() == 0


async def test_it_waits_no_longer_than_it_says(
    slow: SlowLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GRACE", 0.05)
    service = Service(slow)
    address = await service.address()
    headers = headers_for(slow, credential())
    under_way = asyncio.ensure_future(get(f"{address}/v1/events", headers))
    await asyncio.wait_for(slow.reached.wait(), 10)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await service.exit_code() == 0
    with pytest.raises(ClientConnectionError):
        await under_way


async def test_when_the_writer_dies_it_stops_and_says_so(
    slow: SlowLedger, service: Service
) -> None:
    await service.address()
    with capture_logs() as logs:
        slow.closed.set_result("the writer ended")
        assert await service.exit_code() == 1
    assert [line["event"] for line in logs] == ["the writer is lost; stopping"]


@pytest.mark.parametrize("address", ["/", "/v1/events", "/nowhere"])
@pytest.mark.parametrize("expected", [SECRET.encode(), SECRET.encode() + b"\xe9"])
async def test_an_expectation_that_is_not_met_is_refused_without_its_words(
    service: Service, address: str, expected: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", await service.port())
    lines = [f"GET {address} HTTP/1.1".encode(), b"Host: x", b"Expect: " + expected]
    writer.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
    raw = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 417 ")
    assert b"Content-Type: application/problem+json" in head
    assert b"X-Content-Type-Options: nosniff" in head
    assert b"Cache-Control: no-store" in head
    assert json.loads(body)["type"] == "urn:hub-ledger:problem:expectation-failed"
    assert SECRET not in f"{raw!r}"


@pytest.mark.parametrize(
    "text",
    [
        f"GET / HTTP/9.9\r\nX: {SECRET}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\n{SECRET}\r\n\r\n",
        f"{SECRET}\r\n\r\n",
        f"GET /{'x' * 9000}{SECRET} HTTP/1.1\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {SECRET}\r\n\r\n",
        "POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"{SECRET}\r\n\r\n",
    ],
)
async def test_what_is_not_http_gets_a_problem_that_quotes_nothing(
    service: Service, text: str
) -> None:
    port = await service.port()
    with capture_logs() as logs:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text.encode())
        raw = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    assert b"Content-Type: application/problem+json" in head
    assert b"X-Content-Type-Options: nosniff" in head
    assert b"aiohttp" not in raw
    assert json.loads(body)["type"] == "urn:hub-ledger:problem:invalid-request"
    shown = f"{raw!r}{logs}"
    assert SECRET not in shown
    assert SECRET.split(",")[0] not in shown
