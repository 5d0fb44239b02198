"""Tombstones: what tells a retry, or a write to a stream, that what it is about has expired.

Guarantees: a tombstone is an HMAC-SHA256 under a key of the key store, of which the event store
knows the id alone; whoever has the event store cannot try out streams or events on it. While there
is any tombstone and its key is not to be had, nothing is answered: a missing key never makes what
expired look new. The keeper of the key is asked once, in a thread of the vault's own: who looks in
another thread meanwhile is told so at once (KeyNotAtHand), and holds up nobody.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Final

from ledger.database import database_errors
from ledger.errors import Expired, KeyNotAtHand, VaultUnavailable
from ledger.store.base import Store
from ledger.store.expiry import MARK_BYTES, expiry_state, find_tombstones
from ledger.store.records import Gone
from ledger.vault.keystore import TOMBSTONES, KeyStore
from ledger.vault.threads import in_key_thread

_DOMAIN: Final = b"hub-ledger/tombstone@v1\0"
_KEY: Final = ("", TOMBSTONES)

#: What whoever may know of it is told.
EXPIRED: Final = (
    "This has expired: its retention in the log has ended, and its bytes were destroyed. It is not "
    "recorded again."
)

Id = tuple[str, str]


def expired() -> Expired:
    """The error for whoever may know that something has expired."""
    return Expired(EXPIRED)


class Tombstones:
    """Makes and finds the tombstones of one ledger. Methods that block wait for the store alone;
    any thread may call them."""

    def __init__(self, store: Store, keys: KeyStore) -> None:
        self._store, self._keys = store, keys
        self._known: dict[str, bytes] = {}
        #: The key of the first expiry, until that is recorded.
        self._first: str | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """At a start: have the key at hand where something has expired, so that whoever looks for a
        stream afterwards need not wait for the keeper. Where it cannot be had now, they will."""
        with suppress(VaultUnavailable):
            await in_key_thread(self._fetch_known)

    async def have_key(self) -> None:
        """Return once the key that tombstones are under is at hand, minted when none was made yet;
        raises VaultUnavailable. Everybody who waits for it waits for one call."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(in_key_thread(self._fetch))
            self._fetching.add_done_callback(self._fetched)
        # Shielded: one caller that goes away must not take the key from the others.
        await asyncio.shield(self._fetching)

    def _fetched(self, task: "asyncio.Task[None]") -> None:
        self._fetching = None
        # Whoever still waits is told; where nobody does, nothing was lost.
        if not task.cancelled():
            task.exception()

    def _fetch_known(self) -> None:
        if self._store.expired_through():
            self._fetch()

    def _fetch(self) -> None:
        with self._store.read() as rows:
            _, key_id = expiry_state(rows)
        try:
            if key_id is None:
                self._first, key = self._keys.keys_for([_KEY])[_KEY]
                self._known[self._first] = key
                return
            found = self._keys.keys([key_id])
        except database_errors() as error:
            raise VaultUnavailable("The key store does not answer. Try again later.") from error
        if key_id not in found:
            raise VaultUnavailable(
                "The key store lacks the key of what has expired: it may be an older copy. Bring "
                "back the newer key store."
            )
        self._known[key_id] = found[key_id]

    def key(self) -> tuple[str, bytes]:
        """The key that tombstones are made under, and its id; raises KeyNotAtHand."""
        with self._store.read() as rows:
            _, key_id = expiry_state(rows)
        return self._at_hand(key_id or self._first)

    def look(self, ids: Collection[Id], streams: Iterable[str]) -> Gone:
        """What of these has expired. A later expiry than the result's `through` is not in it.
        Raises KeyNotAtHand."""
        with self._store.read() as rows:
            through, key_id = expiry_state(rows)
        if key_id is None:
            return Gone()
        _, key = self._at_hand(key_id)
        of_ids = {mark_of_id(key, *one): one for one in ids}
        of_streams = {mark_of_stream(key, one): one for one in set(streams)}
        with self._store.read() as rows:
            found = find_tombstones(rows, [*of_ids, *of_streams])
        return Gone(
            through,
            frozenset(of_ids[mark] for mark in found if mark in of_ids),
            {
                of_streams[mark]: (str(hub), str(organisation))
                for mark, (hub, organisation) in found.items()
                if mark in of_streams
            },
        )

    def _at_hand(self, key_id: str | None) -> tuple[str, bytes]:
        if key_id is None or key_id not in self._known:
            raise KeyNotAtHand("The key of what has expired is not at hand. Try again.")
        return key_id, self._known[key_id]


def mark_of_id(key: bytes, source: str, event_id: str) -> bytes:
    """The tombstone of an event."""
    return _mark(key, b"id", f"{source} {event_id}")


def mark_of_stream(key: bytes, stream: str) -> bytes:
    """The tombstone of a stream."""
    return _mark(key, b"stream", stream)


def _mark(key: bytes, what: bytes, text: str) -> bytes:
    message = _DOMAIN + what + b"\0" + text.encode()
    return hmac.new(key, message, hashlib.sha256).digest()[:MARK_BYTES]
