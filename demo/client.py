"""A hub's own systems, posting what happened: one event at a time, or in batches.

Order within a stream is kept, as a case system would keep it. Different streams are
posted side by side, as different desks would.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import aiohttp
import orjson

from demo.service import DemoError

ONE: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

WINDOW: Final = 240
"""Events looked at together. One window is recorded whole before the next is begun, so
that the log runs in the order of time but for what happened within about a month."""

AT_ONCE: Final = 32
"""Requests on their way at one time."""

TIMEOUT: Final = aiohttp.ClientTimeout(total=60)

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Receipted:
    """An event with the service's reply: position, leaf hash, stream and receipt."""

    event: Event
    reply: dict[str, Any]


async def record(
    url: str, token: str, events: Iterable[Event], recorded: Callable[[list[Receipted]], None]
) -> None:
    """Post events in windows; `recorded` is told of each request that was answered.

    Raises DemoError at the first reply that is not 201, or when there is none.
    """
    headers = {"Authorization": f"Bearer {token}"}
    room = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(headers=headers, timeout=TIMEOUT) as session:
        for window in _windows(events):
            try:
                async with asyncio.TaskGroup() as group:
                    for desk in _desks(window):
                        group.create_task(_work(session, url, room, desk, recorded))
            except ExceptionGroup as failed:
                raise DemoError(str(failed.exceptions[0])) from failed


def _windows(events: Iterable[Event]) -> Iterator[list[Event]]:
    stream = iter(events)
    while window := list(islice(stream, WINDOW)):
        yield window


def _desks(window: list[Event]) -> list[list[list[Event]]]:
    """Share out a window: for each desk the requests it makes one after another.

    What concerns one person (their case and who looked at it) is posted event by event.
    The referral tool sends all its content in one batch.
    """
    content = [event for event in window if event["subject"].startswith("content/")]
    desks: dict[str, list[list[Event]]] = {"content": [content]} if content else {}
    for event in window:
        kind, _, stream = event["subject"].partition("/")
        if kind != "content":
            desks.setdefault(stream, []).append([event])
    return list(desks.values())


async def _work(
    session: aiohttp.ClientSession,
    url: str,
    room: asyncio.Semaphore,
    requests: list[list[Event]],
    recorded: Callable[[list[Receipted]], None],
) -> None:
    for events in requests:
        async with room:
            replies = await _post(session, url, events)
        recorded([Receipted(*pair) for pair in zip(events, replies, strict=True)])


async def _post(
    session: aiohttp.ClientSession, url: str, events: list[Event]
) -> list[dict[str, Any]]:
    single = len(events) == 1
    body = orjson.dumps(events[0] if single else events)
    headers = {"Content-Type": ONE if single else BATCH}
    async with session.post(f"{url}/v1/events", data=body, headers=headers) as response:
        answer = orjson.loads(await response.read())
        if response.status != 201:
            raise DemoError(f"an event was refused with {response.status}: {answer}")
    replies: list[dict[str, Any]] = [answer] if single else answer["items"]
    return replies
