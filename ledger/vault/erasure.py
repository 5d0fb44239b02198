"""Erasure of keys, by intent and then redo.

Guarantees: the intent is an entry of the log, whose transaction also deleted the sealed rows; the
keys it names are destroyed here, again and again until it has succeeded, touching only the key
ids that the entry names. `applied_through` says how far that has come. A key store that is ahead
of the log is refused: its log was rolled back.
"""

from collections.abc import Callable, Sequence

from ledger.errors import IntegrityAlarm
from ledger.vault.keystore import KeyStore

#: Key ids named by erasures at or after a position, with the position, in log order.
Destroyed = Callable[[int], Sequence[tuple[str, int]]]


def check_against_log(keys: KeyStore, tree_size: int) -> None:
    """Refuse a key store that has carried out erasures which the log does not hold."""
    through = keys.applied_through()
    if through > tree_size:
        raise IntegrityAlarm(
            f"The key store has carried out erasures up to entry {through}, but the log holds "
            f"{tree_size} entries: the log has been rolled back. Bring back the newer event store."
        )


def apply_erasures(keys: KeyStore, destroyed: Destroyed) -> list[str]:
    """Destroy every key named by an erasure not yet carried out; returns their ids."""
    named = destroyed(keys.applied_through())
    if not named:
        return []
    key_ids = [key_id for key_id, _ in named]
    keys.destroy(key_ids, through=named[-1][1] + 1)
    return key_ids
