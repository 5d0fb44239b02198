"""Keys in use by this process: found once, kept a while, minted in groups.

Guarantees: a key is durable in the key store before it is returned; requests that arrive while one
transaction of the key store is under way share the next one; `forget` makes the next request read
the key store again. The writer checks every key id against the log, so a stale key here can make a
submission be prepared again but never be recorded.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from ledger.database import database_errors
from ledger.errors import VaultUnavailable
from ledger.vault.keystore import NEXT, KeyStore, StreamKey
from ledger.vault.threads import in_key_thread

#: Streams whose keys are kept in memory, some 600 bytes each.
MAX_STREAMS: Final = 10_000
Key = tuple[str, bytes]


class KeyRing:
    """An asyncio front to a key store. One per event loop."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._known: OrderedDict[str, dict[str, Key]] = OrderedDict()
        self._wanted: dict[StreamKey, asyncio.Future[Key]] = {}
        self._minting: asyncio.Task[None] | None = None

    async def keys_for(self, wanted: Iterable[StreamKey]) -> dict[StreamKey, Key]:
        """The current key of each (stream, class); raises VaultUnavailable."""
        found: dict[StreamKey, Key] = {}
        missing: list[StreamKey] = []
        for stream_key in wanted:
            stream, key_class = stream_key
            known = self._known.get(stream, {}).get(key_class)
            if known is None:
                missing.append(stream_key)
            else:
                self._known.move_to_end(stream)
                found[stream_key] = known
        if missing:
            futures = [self._want(stream_key) for stream_key in missing]
            found.update(zip(missing, await asyncio.gather(*futures), strict=True))
        return found

    async def next_key(self, stream: str) -> Key:
        """The next subject key of a stream, as the key store has it now; raises VaultUnavailable.
        It is not remembered: an erasure elsewhere may destroy it."""
        wanted = (stream, NEXT)
        try:
            return (await in_key_thread(self._store.keys_for, (wanted,)))[wanted]
        except database_errors() as error:
            raise VaultUnavailable(
                "The key store does not answer. Nothing was recorded."
            ) from error

    def forget(self, streams: Iterable[str]) -> None:
        """Read these streams' keys from the key store again."""
        for stream in streams:
            self._known.pop(stream, None)

    def _want(self, stream_key: StreamKey) -> "asyncio.Future[Key]":
        future = self._wanted.get(stream_key)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._wanted[stream_key] = future
        if self._minting is None:
            self._minting = asyncio.create_task(self._mint())
        # Shielded: one caller that goes away must not take the key from the others.
        return asyncio.shield(future)

    async def _mint(self) -> None:
        try:
            while self._wanted:
                wanted, self._wanted = self._wanted, {}
                await self._mint_group(wanted)
        finally:
            self._minting = None

    async def _mint_group(self, wanted: dict[StreamKey, "asyncio.Future[Key]"]) -> None:
        try:
            keys = await in_key_thread(self._store.keys_for, tuple(wanted))
        except Exception as error:  # noqa: BLE001 - handed to every caller that waits for it
            answer = VaultUnavailable("The key store does not answer. Nothing was recorded.")
            answer.__cause__ = error
            for future in wanted.values():
                if not future.done():
                    future.set_exception(answer)
            return
        self._remember(tuple(wanted), keys)
        for stream_key, future in wanted.items():
            if not future.done():
                future.set_result(keys[stream_key])

    def _remember(self, wanted: Sequence[StreamKey], keys: dict[StreamKey, Key]) -> None:
        for stream_key in wanted:
            stream, key_class = stream_key
            self._known.setdefault(stream, {})[key_class] = keys[stream_key]
        while len(self._known) > MAX_STREAMS:
            self._known.popitem(last=False)
