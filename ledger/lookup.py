"""Lookups that arrive together, made together: recorded ids, and heads of streams.

Guarantees: each answer was read from the store after its question was asked, first what of it has
expired and then what is there: what expires between the two is neither found nor new, and the
writer has it looked up again. While one read is under way, the questions that come meanwhile share
the next. Where the vault has to be asked for the key of what has expired, no thread waits for it
that others need.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from ledger.errors import KeyNotAtHand
from ledger.store import Store
from ledger.store.records import Gone, StreamHead

Key = tuple[str, str]
Found = tuple[dict[Key, int], dict[str, StreamHead], Gone]
#: What of some (source, id) and streams has expired.
LookForGone = Callable[[Collection[Key], Iterable[str]], Gone]
HaveKey = Callable[[], Awaitable[None]]


class Lookup:
    """An asyncio front to a store. One per event loop."""

    def __init__(self, store: Store, gone: LookForGone, have_key: HaveKey) -> None:
        self._store, self._gone, self._have_key = store, gone, have_key
        self._asked: list[tuple[Sequence[Key], Collection[str], asyncio.Future[Found]]] = []
        self._reading: asyncio.Task[None] | None = None

    async def look(self, keys: Sequence[Key], streams: Collection[str]) -> Found:
        """Positions of those (true source, id) that are recorded already, heads of those streams
        that exist, and what of either has expired. All may hold more than was asked for."""
        answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._asked.append((keys, streams, answer))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await answer

    async def _read(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, []
                keys = [key for group, _, _ in asked for key in group]
                streams = {stream for _, group, _ in asked for stream in group}
                try:
                    found = await self._look(keys, streams)
                except Exception as error:  # noqa: BLE001 - handed to every caller that waits
                    for _, _, answer in asked:
                        if not answer.done():
                            answer.set_exception(error)
                    continue
                for _, _, answer in asked:
                    if not answer.done():
                        answer.set_result(found)
        finally:
            self._reading = None

    async def _look(self, keys: Sequence[Key], streams: Collection[str]) -> Found:
        try:
            return await asyncio.to_thread(self._find, keys, streams)
        except KeyNotAtHand:
            await self._have_key()
        return await asyncio.to_thread(self._find, keys, streams)

    def _find(self, keys: Sequence[Key], streams: Collection[str]) -> Found:
        gone = self._gone(keys, streams)
        return *self._store.look(keys, streams), gone
