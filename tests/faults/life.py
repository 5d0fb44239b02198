"""A service in this process, which can die at any step: the writer's and the recorder's own parts
over stores that fail on demand.

A `Life` opens as `ledger.log.writer` and `Ledger.open` do. When its writer meets an exception it is
dead, as the process would be, and every caller hears WriterLost. The next life opens the same
directory; nothing is repaired in between.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from ledger.access import Role
from ledger.config import DataDirectory
from ledger.errors import WriterLost
from ledger.expiring import Expirer
from ledger.log.client import WriterClient
from ledger.log.clock import Clock
from ledger.log.messages import Outcome, PreparedEvent, Refused
from ledger.log.publisher import Publisher
from ledger.log.sequencer import Sequencer
from ledger.opening import Opener
from ledger.receipts import ReceiptMaker
from ledger.recording import Recorder
from ledger.staff import Staff
from ledger.store import Store
from ledger.submission import Recorded, Submission
from ledger.tombstones import Tombstones
from ledger.vault.erasure import check_against_log
from ledger.vault.keyring import KeyRing
from ledger.vault.keystore import KeyStore
from ledger.vault.wrapper import LocalKeyWrapper
from tests.faults.injection import Fault, FaultyGuard, faulty_database, faulty_store
from tests.ledger.acts import credential

ANY = credential(Role.DPO)


class DyingWriter(WriterClient):
    """The writer in this process: after any exception it is gone."""

    def __init__(self, sequencer: Sequencer, store: Store, fault: Fault) -> None:
        self._sequencer, self._store, self._fault = sequencer, store, fault
        self._dead = False

    async def submit(self, events: Sequence[PreparedEvent]) -> Outcome:
        if self._dead:
            raise WriterLost("dead")
        try:
            outcome = self._sequencer.append([events])[0]
            expired = any(event.expires for event in events)
            removed = expired or any(event.erases for event in events)
            if not isinstance(outcome, Refused) and removed:
                self._store.scrub(expired=expired)
            self._fault.at("reply", "before")
        except Exception as error:
            self._dead = True
            raise WriterLost("the writer met an exception") from error
        return outcome


class Life:
    """One life of a service; use `living`."""

    def __init__(self, directory: DataDirectory, clock: Clock, stack: ExitStack) -> None:
        self.fault = Fault()
        self.store = faulty_store(directory.database, self.fault)
        stack.callback(self.store.close)
        self.keys = KeyStore(
            faulty_database(directory.key_database, self.fault),
            LocalKeyWrapper(directory.wrapping_key()),
        )
        stack.callback(self.keys.close)
        guard = FaultyGuard(directory.guard_path, self.fault)
        stack.callback(guard.close)
        signing = directory.signing_keys()
        sequencer = Sequencer(self.store, signing.ed25519, directory.origin, clock, guard)
        sequencer.check_start()
        self.store.scrub(expired=True)
        log_keys = directory.policy().log_keys(directory.origin)
        self.opener = Opener(directory.origin, self.store, self.keys, log_keys)
        check_against_log(self.keys, self.size)
        self.opener.apply_erasures()
        self.publisher = Publisher(self.store, signing, clock, directory.publish_seconds, guard)
        tombstones = self.tombstones = Tombstones(self.store, self.keys)
        self.expirer = Expirer(self.store, self.keys, tombstones)
        self._recorder = Recorder(
            directory.origin,
            self.store,
            KeyRing(self.keys),
            self.opener,
            DyingWriter(sequencer, self.store, self.fault),
            ReceiptMaker(self.store),
            tombstones,
            self.expirer,
        )
        self.staff = Staff(
            directory.origin, self.store, self.keys, self.opener, self._recorder, tombstones
        )

    def size(self) -> int:
        """The size of the log now."""
        head = self.store.head()
        assert head is not None
        return head.size

    async def record(self, *submissions: Submission) -> list[Recorded]:
        return await self._recorder.record(ANY, submissions)


@contextmanager
def living(directory: DataDirectory, clock: Clock | None = None) -> Iterator[Life]:
    """Open the ledger as a service would; what it leaves behind is what a crash would."""
    with ExitStack() as stack:
        yield Life(directory, clock or Clock(), stack)
