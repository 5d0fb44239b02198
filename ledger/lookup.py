"""Lookups that arrive together, made together: recorded ids, and heads of streams.

Guarantees: each answer was read from the store after its question was asked, first what of it has
expired and then what is there: what expires between the two is neither found nor new, and the
writer has it looked up again. While one read is under way, the questions that come meanwhile share
the next.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

from ledger.store import Store
from ledger.store.records import Gone, StreamHead

Key = tuple[str, str]
Found = tuple[dict[Key, int], dict[str, StreamHead], Gone]
#: What of some (source, id) and streams has expired.
LookForGone = Callable[[Collection[Key], Iterable[str]], Gone]


class Lookup:
    """An asyncio front to a store. One per event loop."""

    def __init__(self, store: Store, gone: LookForGone) -> None:
        self._store, self._gone = store, gone
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
                    found = await asyncio.to_thread(self._find, keys, streams)
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

    def _find(self, keys: Sequence[Key], streams: Collection[str]) -> Found:
        gone = self._gone(keys, streams)
        return *self._store.look(keys, streams), gone
