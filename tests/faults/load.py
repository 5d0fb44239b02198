"""Clients that never give up: each records events over HTTP, one after another, and sends an event
again, under the same id, until it is acknowledged. What was acknowledged is written down."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final
from uuid import UUID

import aiohttp
import orjson

from ledger.catalogue import CATALOGUE
from tests.faults.account import Acknowledged
from tests.faults.service import Service

#: Seconds after which a request that has no answer is sent again.
PATIENCE: Final = 30.0
#: Seconds before an event is sent again.
PAUSE: Final = 0.05
_TYPES: Final = ("subject.identified", "data.disclosed", "case.closed")


class LoadError(Exception):
    """The service gave an answer that no crash explains."""


class Load:
    """Clients of one or more services that share a log."""

    def __init__(
        self, services: Sequence[Service], token: str, seed: int, patience: float = PATIENCE
    ) -> None:
        self._services, self._token = services, token
        self._timeout = aiohttp.ClientTimeout(total=patience)
        self._random = Random(seed)
        # Some streams are everyone's, so that writers meet in them.
        self._shared = [self._uuid() for _ in range(3)]
        self._watchers: list[tuple[int, asyncio.Future[None]]] = []
        self._stopping = False
        self.acknowledged: list[Acknowledged] = []
        #: How many events each service has acknowledged.
        self.by: Counter[int] = Counter()
        #: Events that had to be sent more than once.
        self.repeated = 0

    def _uuid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    async def reach(self, more: int) -> None:
        """Wait until that many more events have been acknowledged; raises when no more can be."""
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((len(self.acknowledged) + more, reached))
        await reached

    async def client(self, number: int) -> None:
        """One client, until the load is stopped; it finishes what it has begun."""
        stream = self._uuid()
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/cloudevents+json",
        }
        async with aiohttp.ClientSession(headers=headers, timeout=self._timeout) as session:
            while not self._stopping:
                event = self._event(stream)
                attempt = 0
                while not await self._post(session, event, number + attempt):
                    attempt += 1
                self.repeated += attempt > 0

    def _event(self, stream: str) -> dict[str, Any]:
        event_type = CATALOGUE.get(self._random.choice(_TYPES), None)
        assert event_type is not None
        subject = self._random.choice([stream, *self._shared])
        return {**event_type.example, "id": self._uuid(), "subject": f"case/{subject}"}

    async def _post(self, session: aiohttp.ClientSession, event: dict[str, Any], turn: int) -> bool:
        """Send an event once, to the next service in turn; whether it was acknowledged."""
        service = self._services[turn % len(self._services)]
        try:
            async with session.post(f"{service.url}/v1/events", data=orjson.dumps(event)) as reply:
                answer = orjson.loads(await reply.read())
                if reply.status in (200, 201):
                    self.by[turn % len(self._services)] += 1
                    self._acknowledge(event["id"], answer)
                    return True
                if reply.status < 500:
                    raise LoadError(f"refused with {reply.status}: {answer.get('type')}")
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            pass
        # As any client should, it gives a service in trouble a moment; then it asks the next.
        await asyncio.sleep(PAUSE)
        if len(self._services) == 1:
            await service.up()
        return False

    def _acknowledge(self, event_id: str, answer: dict[str, Any]) -> None:
        self.acknowledged.append(Acknowledged(event_id, answer["position"], answer["receipt"]))
        done = len(self.acknowledged)
        for watcher in [w for w in self._watchers if w[0] <= done]:
            self._watchers.remove(watcher)
            if not watcher[1].done():
                watcher[1].set_result(None)

    def fail(self, error: BaseException) -> None:
        """Wake whoever waits for progress that will not come."""
        for _, reached in self._watchers:
            if not reached.done():
                reached.set_exception(error)

    def stop(self) -> None:
        self._stopping = True


@asynccontextmanager
async def loading(
    services: Sequence[Service],
    token: str,
    *,
    clients: int,
    seed: int,
    patience: float = PATIENCE,
) -> AsyncIterator[Load]:
    """A load on services; at the end every event that was begun has been acknowledged."""
    load = Load(services, token, seed, patience)
    tasks = [asyncio.create_task(load.client(number)) for number in range(clients)]
    for task in tasks:
        task.add_done_callback(_tell(load))
    try:
        yield load
        load.stop()
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tell(load: Load) -> "Callable[[asyncio.Task[None]], None]":
    def ended(task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            load.fail(error)

    return ended
