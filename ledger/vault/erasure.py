"""Erasure of keys, by intent and then redo.

Guarantees: the intent is an entry of the log, whose transaction also deleted the sealed rows; the
keys it names are destroyed here, again and again until it has succeeded, touching only the key
ids that the entry names, to which `ledger.log.destroyed` sees. `applied_through` says how far that
has come. A key store that is ahead of the log is refused: its log was rolled back.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from ledger.errors import IntegrityAlarm
from ledger.vault.keystore import KeyStore


class Named(Protocol):
    """A key that an erasure names: its id, its stream, the erasure's position, and whether what
    is kept of the stream is under its next key."""

    @property
    def key_id(self) -> str: ...

    @property
    def stream(self) -> str: ...

    @property
    def position(self) -> int: ...

    @property
    def kept(self) -> bool: ...


#: Keys named by erasures at or after a position, in log order.
Destroyed = Callable[[int], Sequence[Named]]


def check_against_log(keys: KeyStore, tree_size: Callable[[], int]) -> None:
    """Refuse a key store that has carried out erasures which the log does not hold. The log is
    asked second: another replica may be erasing meanwhile."""
    through = keys.applied_through()
    size = tree_size()
    if through > size:
        raise IntegrityAlarm(
            f"The key store has carried out erasures up to entry {through}, but the log holds "
            f"{size} entries: the log has been rolled back. Bring back the newer event store."
        )


def check_own(keys: KeyStore, key_ids: Collection[str], streams: Collection[str]) -> None:
    """Refuse keys that are said to go with these streams and are of others: once the streams have
    expired, nothing says any more whose they were."""
    if not set(keys.streams_of(key_ids).values()) <= set(streams):
        raise IntegrityAlarm(
            "A key that is said to go with a stream that expires is another stream's: the event "
            "store has been altered. Nothing was destroyed. Run hub-ledger fsck."
        )


def apply_erasures(keys: KeyStore, destroyed: Destroyed) -> list[str]:
    """Destroy every key named by an erasure not yet carried out; returns their ids."""
    named = destroyed(keys.applied_through())
    if not named:
        return []
    keys.destroy(
        [(key.key_id, key.stream, key.kept) for key in named], through=named[-1].position + 1
    )
    return [key.key_id for key in named]
