"""Acts and their order in time.

An act is one thing somebody did. Lives (of a case, of a piece of content) are lists of
acts; `in_order` merges any number of them, holding only those that have begun, so that
two million events need no more memory than two thousand.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Act:
    """One act: when it happened, to which stream, by whom, and its data.

    `id` is that of its event where another act names it; others are given one when posted.
    """

    at: datetime
    type: str
    subject: str
    hub: str
    source: str
    organisation: str
    actor: str
    regime: str
    data: dict[str, Any]
    id: str | None = None


def in_order(lives: Iterable[list[Act]]) -> Iterator[Act]:
    """Merge lives into one sequence by time.

    Lives must come in order of their first act, and the acts of one life must be in order.
    Acts of the same instant keep the order in which they were given.
    """
    waiting: list[tuple[datetime, int, Act]] = []
    given = 0
    for life in lives:
        while waiting and waiting[0][0] < life[0].at:
            yield heapq.heappop(waiting)[2]
        for act in life:
            heapq.heappush(waiting, (act.at, given, act))
            given += 1
    while waiting:
        yield heapq.heappop(waiting)[2]


def make_uuid(rng: Random, at: datetime) -> str:
    """A UUID of version 7 (RFC 9562) for the time, its random bits taken from `rng`."""
    milliseconds = int(at.timestamp() * 1000)
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | rng.getrandbits(12) << 64
    value |= 0b10 << 62 | rng.getrandbits(62)
    return str(UUID(int=value))


def make_reference(rng: Random) -> str:
    """A UUID of version 4 from `rng`: a reference that says nothing, not even when it was made."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def at_work(rng: Random, day: datetime) -> datetime:
    """A moment of the given day between 08:00 and 18:00 UTC, when offices are staffed."""
    start = day.replace(hour=8, minute=0, second=0, microsecond=0)
    return start + timedelta(milliseconds=rng.randrange(10 * 3_600_000))


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def poisson(rng: Random, mean: float) -> int:
    """A Poisson variate by counting exponential waits; meant for small means."""
    count, waited = 0, rng.expovariate(1.0)
    while waited < mean:
        count += 1
        waited += rng.expovariate(1.0)
    return count


def pick(rng: Random, weights: dict[str, int]) -> str:
    """One key, with the probability of its weight."""
    return rng.choices(list(weights), weights=list(weights.values()))[0]
