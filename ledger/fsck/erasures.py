"""What the log's erasures say, and the key store held against it.

Guarantees: only entries that the verifier accepted are learned from; an erasure never covers more
than its stream held then. A key that an erasure destroyed is not in the key store, under whatever
stream; every key that is there opens under the wrapping key; and the key store has not carried out
more than the log holds. Keys that no entry has used are nobody's fault: they are made beforehand.
Nor is an erasure that a running service is about to carry out: it is given a moment.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.fsck.vault import KeyStoreError, StoredKey, Vault
from ledger.store.base import Store
from ledger.store.expiry import NO_STREAM
from ledger.store.records import ATTRIBUTION, ERASURE, SUBJECT, ErasedPart
from ledger.vault.keystore import NEXT, TOMBSTONES
from ledger.vault.staffmap import LOG
from ledger_verifier.audit.report.model import Failure, Findings

_SOURCE = "keys"
_CLASSES: Final = frozenset({SUBJECT, NEXT, ATTRIBUTION, TOMBSTONES, LOG})
#: Seconds between looks at keys that a recorded erasure is about to destroy. A service does so
#: right after it has recorded the erasure.
_WAITS: Final = (0.1, 0.4, 1.0)
_pause = time.sleep


@dataclass(slots=True)
class Erasures:
    """Erasures met so far, in log order: for each stream what of its subject fields is erased, and
    for each key the stream and the position of the erasure that names it. A key of a stream that
    has expired has no stream, and the position of the entry that says so."""

    parts: dict[str, ErasedPart] = field(default_factory=dict)
    keys: dict[str, tuple[str | None, int]] = field(default_factory=dict)

    def learn(self, position: int, entry: Mapping[str, Any]) -> str | None:
        """Take in an accepted entry if it is an erasure; returns what is wrong with it, if
        anything. What is wrong is not learned."""
        if entry["type"] != ERASURE:
            return None
        stream, version = entry["stream"], entry["stream"]["version"]
        key_ids, through = entry["data"].get("key_ids"), entry["data"].get("through")
        if type(key_ids) is not list or not all(type(key_id) is str for key_id in key_ids):
            return "an erasure that does not name the keys it destroys"
        if type(through) is not int or not 0 <= through < version:
            return "an erasure of entries that its stream did not hold"
        versions = entry["data"].get("versions") or []
        if not all(type(one) is int and 0 < one < version for one in versions):
            return "an erasure of entries that its stream did not hold"
        name = f"{stream['kind']}/{stream['id']}"
        known = self.parts.get(name, ErasedPart())
        self.parts[name] = ErasedPart(
            max(known.through, through), known.versions | frozenset(versions)
        )
        for key_id in key_ids:
            self.keys.setdefault(key_id, (name, position))
        return None


class Since:
    """What has come to the log since the snapshot, of which this many entries are: looked up
    outside of it."""

    def __init__(self, store: Store, size: int) -> None:
        self._store, self._size = store, size

    def tree_size(self) -> int:
        """The size of the log now."""
        head = self._store.head()
        return 0 if head is None else head.size

    def is_there(self, stream: str) -> bool:
        """Whether a stream that was there has not expired by now."""
        return self._store.stream_head(stream) is not None

    def destroyed(self, key_id: str, stream: str) -> bool:
        """Whether an erasure recorded since names this key of this stream, or an expiry does."""
        named = self._store.destroyed_keys(self._size)
        size = self.tree_size()
        return any(
            key.key_id == key_id and key.stream in (stream, NO_STREAM) and key.position < size
            for key in named
        )


def check_key_store(
    vault: Vault, erasures: Erasures, size: int, since: Since, findings: Findings
) -> None:
    """Hold the key store against the erasures of a log of this size."""
    applied = None
    try:
        _let_finish(vault, erasures)
        applied = vault.applied_through()
    except KeyStoreError as error:
        findings.fail(Failure(str(error)), source=_SOURCE)
    # Outside the snapshot, the log may have gone on and erased.
    if applied is not None and applied > size and applied > since.tree_size():
        reason = (
            f"the key store has carried out erasures through {applied} entries, and the log holds "
            f"{size}: it was rolled back"
        )
        findings.fail(Failure(reason), source=_SOURCE)
    left: set[int] = set()
    try:
        for stored in vault.all():
            _check_key(stored, erasures, applied, left, findings)
            findings.counts["keys"] += 1
    except KeyStoreError as error:
        if str(error) not in [failure.reason for failure in findings.failures]:
            findings.fail(Failure(str(error)), source=_SOURCE)
        return
    behind = {at for _, at in erasures.keys.values() if applied is not None and at >= applied}
    if behind - left:
        findings.not_assessed.append(
            f"whether the erasure at position {min(behind - left)} is complete: its keys are gone, "
            "but the key store has not noted it; the next start of the service does"
        )


def _let_finish(vault: Vault, erasures: Erasures) -> None:
    """Wait a moment if keys are still there whose erasure is not carried out."""
    for seconds in _WAITS:
        applied = vault.applied_through()
        if not any(
            position >= applied and vault.find(key_id) is not None
            for key_id, (_, position) in erasures.keys.items()
        ):
            return
        _pause(seconds)


def _check_key(
    stored: StoredKey,
    erasures: Erasures,
    applied: int | None,
    left: set[int],
    findings: Findings,
) -> None:
    """One stored key; `left` gathers the erasures whose keys are still there."""
    if stored.key_id in erasures.keys:
        stream, position = erasures.keys[stored.key_id]
        left.add(position)
        if applied is not None and applied <= position:
            reason = "this erasure is not carried out yet: its keys are still in the key store"
        else:
            reason = "a key that this erasure destroyed is in the key store again"
        findings.fail(Failure(reason, position=position, stream=stream), source=_SOURCE)
    elif stored.key is None or stored.key_class not in _CLASSES:
        reason = "a key in the key store does not open under the wrapping key, or is of no class"
        findings.fail(Failure(reason, stream=stored.stream), source=_SOURCE)
