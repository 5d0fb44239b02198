"""Keys that are to be destroyed, on the word of the log and not of the table that lists them.

Guarantees: `proven` gives the keys that stand in the table with an erasure or an expiry only where
they are exactly those that the entry names or commits to, and the entry is proven to be of the log,
under a head that the log's key has signed. So nobody who has the event store and not that key has
one more destroyed. Where a restore could not know every key of an expiry, those it knows are held
to its own signed word. A table that says less than the log does is for `fsck`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby
from typing import Any

from ledger.errors import IntegrityAlarm
from ledger.log.restored import is_known_expiry
from ledger.log.tree import node_from_cells
from ledger.store.erased import select_destroyed
from ledger.store.expiry import NO_STREAM, select_restored
from ledger.store.records import ERASURE, DestroyedKey
from ledger.store.rows import Rows, select_cells, select_entry, select_head
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.checkpoint import Checkpoint, open_checkpoint
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.merkle import leaf_hash, prove_inclusion, verify_inclusion
from ledger_verifier.formats.note import VerifierKey
from ledger_verifier.meaning.expiry import STREAM_EXPIRED, keys_sha256


def proven(
    rows: Rows, position_sql: str, keys: Collection[VerifierKey], start: int
) -> list[DestroyedKey]:
    """Keys that erasures and expiries at or after a position destroy, in order; `rows` see one
    moment, and `keys` are the log's. Raises IntegrityAlarm."""
    named = select_destroyed(rows, start)
    found: list[DestroyedKey] = []
    if not named:
        return found
    head = _signed_head(rows, keys)
    # Erasures that are recorded together have nearly all of their proofs in common.
    node = cache(_nodes(rows))
    restored = select_restored(rows)
    for position, group in groupby(named, key=lambda key: key.position):
        some = list(group)
        entry = _proven_entry(rows, position_sql, position, head, node)
        if entry is None or not _says(entry, position, some, keys, restored.get(position)):
            raise IntegrityAlarm(
                f"The table of destroyed keys is not what entry {position} of the log says: the "
                "event store has been altered. No key was destroyed on its word. Run hub-ledger "
                "fsck."
            )
        kept = entry["data"].get("versions") is not None
        found += [replace(key, kept=kept) for key in some]
    return found


def _signed_head(rows: Rows, keys: Collection[VerifierKey]) -> Checkpoint:
    head = select_head(rows)
    try:
        opened = open_checkpoint(b"" if head is None else head.checkpoint, keys)
    except FormatError as error:
        raise IntegrityAlarm(f"The stored head does not verify: {error}") from error
    if opened.checkpoint.origin not in {key.name for key in opened.signers}:
        raise IntegrityAlarm("The stored head is not signed by this log's key.")
    return opened.checkpoint


def _proven_entry(
    rows: Rows,
    position_sql: str,
    position: int,
    head: Checkpoint,
    node: Callable[[int, int], bytes],
) -> dict[str, Any] | None:
    """The entry at a position, if it is proven to be there."""
    raw = select_entry(rows, position_sql, position)
    if raw is None:
        return None
    try:
        proof = prove_inclusion(position, head.size, node)
        verify_inclusion(leaf_hash(raw), position, head.size, proof, head.root)
        return entries.decode(raw)
    except FormatError:
        return None


def _nodes(rows: Rows) -> Callable[[int, int], bytes]:
    def cells(level: int, start: int, stop: int) -> Sequence[bytes]:
        return select_cells(rows, level, start, stop)

    return lambda height, index: node_from_cells(cells, height, index)


def _says(
    entry: dict[str, Any],
    position: int,
    named: Sequence[DestroyedKey],
    keys: Collection[VerifierKey],
    signature: bytes | None,
) -> bool:
    """Whether these are the keys that an entry of the log says are destroyed."""
    streams, ids = {key.stream for key in named}, [key.key_id for key in named]
    data = entry["data"]
    if entry["type"] == ERASURE:
        own = f"{entry['stream']['kind']}/{entry['stream']['id']}"
        return streams == {own} and sorted(data["key_ids"]) == sorted(ids)
    if entry["type"] != STREAM_EXPIRED or streams != {NO_STREAM}:
        return False
    digest = keys_sha256(ids)
    return data["keys_sha256"] == digest or is_known_expiry(keys, position, digest, signature)
