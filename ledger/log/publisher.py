"""The publisher: signs the newest head for the public, and keeps what it published for ever.

Guarantees: at most one publisher among replicas (by the store's lock); a published checkpoint is
a committed head, carries the log's Ed25519 signature and its ML-DSA-44 cosignature
(C2SP tlog-checkpoint, tlog-cosignature), is dated no earlier than its last entry and the checkpoint
published before it, and is in the store before anyone is shown it.
"""

from typing import Final

from ledger.config import SigningKeys
from ledger.errors import IntegrityAlarm
from ledger.log.clock import Clock, seconds_of
from ledger.log.guard import Guard
from ledger.store.base import Store
from ledger.store.records import Head
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.note import Note

#: Seconds within which the publisher's lock is renewed, however rarely it publishes. A lock that is
#: not renewed for long goes to another replica: see `ledger.store.postgres`.
RENEW_SECONDS: Final = 5.0


class Publisher:
    """Publishes heads of one log at a fixed interval, while there is something new."""

    def __init__(
        self,
        store: Store,
        keys: SigningKeys,
        clock: Clock,
        seconds: float,
        guard: Guard | None = None,
    ) -> None:
        self._store, self._keys, self._clock = store, keys, clock
        self._seconds, self._guard = seconds, guard
        self._due = self._renew = 0.0

    def wait(self, monotonic: float) -> float:
        """Seconds until the next publication, or renewal of the lock, may be due."""
        return max(0.0, min(self._due, self._renew) - monotonic)

    def tick(self, monotonic: float) -> bool:
        """Publish if the interval has passed and the log has grown; whether it did."""
        if monotonic < min(self._due, self._renew):
            return False
        self._renew = monotonic + RENEW_SECONDS
        publisher = self._store.try_publisher()
        if monotonic < self._due:
            return False
        self._due = monotonic + self._seconds
        if not publisher:
            return False
        self._clock.check_database(self._store.now())
        head, newest = self._store.head(), self._store.newest_publication()
        if head is None or (newest is not None and newest[0] == head.size):
            return False
        if newest is not None and newest[0] > head.size:
            raise IntegrityAlarm("A checkpoint larger than the log has been published before.")
        self.publish(head)
        return True

    def publish(self, head: Head) -> bytes:
        """Sign a head for the public and keep it; returns the signed checkpoint."""
        # Never before what it covers, nor before the last one, whatever became of the clock.
        stamp = self._clock.stamp(max(head.recorded_at, self._store.last_published()))
        issued = Note.parse(head.checkpoint)
        if self._guard is not None:
            # Another replica may have committed this head.
            self._guard.advance(head.size, head.checkpoint)
        cosignature = self._keys.mldsa44.cosign(
            Checkpoint.parse(issued.text), int(seconds_of(stamp))
        )
        checkpoint = Note(issued.text, (*issued.signatures, cosignature)).encode()
        self._store.publish(head.size, checkpoint, stamp)
        return checkpoint
