"""Lookups of (source, id) that arrive together, made together.

Guarantees: each answer was read from the store after its question was asked. While one read is
under way, the questions that come meanwhile share the next.
"""

import asyncio
from collections.abc import Sequence

from ledger.store import Store

Key = tuple[str, str]
Answer = asyncio.Future[dict[Key, int]]


class DuplicateLookup:
    """An asyncio front to `Store.duplicates`. One per event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked: list[tuple[Sequence[Key], Answer]] = []
        self._reading: asyncio.Task[None] | None = None

    async def positions(self, keys: Sequence[Key]) -> dict[Key, int]:
        """Positions of those (true source, id) that are recorded already; may hold others too."""
        answer: Answer = asyncio.get_running_loop().create_future()
        self._asked.append((keys, answer))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await answer

    async def _read(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, []
                keys = [key for group, _ in asked for key in group]
                try:
                    found = await asyncio.to_thread(self._store.duplicates, keys)
                except Exception as error:  # noqa: BLE001 - handed to every caller that waits
                    for _, answer in asked:
                        if not answer.done():
                            answer.set_exception(error)
                    continue
                for _, answer in asked:
                    if not answer.done():
                        answer.set_result(found)
        finally:
            self._reading = None
