"""Rotations of the wrapping key, recorded in the log.

Guarantees: a rotation that is complete becomes one entry of the ledger stream, of the type
`wrapping_key.rotated`, whoever carried it out and whatever was running then: it waits in the key
store, under an id of its own, until a service has recorded it, and replicas that try at once record
it once.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from ledger.database import database_errors
from ledger.errorlog import log_error
from ledger.errors import IntegrityAlarm, LedgerError
from ledger.log.client import WriterClient
from ledger.log.clock import instant
from ledger.log.genesis import service_event
from ledger.log.messages import RECHECK, PreparedEvent, Refused
from ledger.store.base import Store
from ledger.vault.keystore import KeyStore
from ledger.vault.registry import Registered
from ledger_verifier.formats import entry as entries

ROTATED: Final = "wrapping_key.rotated"
#: Seconds between looks at the key store.
_LOOK_SECONDS: Final = 5.0


class RotationRecorder:
    """Records the rotations of one ledger's key store through its writer."""

    def __init__(self, store: Store, keys: KeyStore, writer: WriterClient) -> None:
        self._store, self._keys, self._writer = store, keys, writer

    async def record(self) -> int:
        """Record what is complete and not recorded; how many there were. Raises as the writer and
        the databases do; what was not recorded is tried again."""
        rotations = await asyncio.to_thread(self._keys.unrecorded_rotations)
        for replaced, rotation in rotations:
            event = await asyncio.to_thread(self._event, replaced, rotation)
            outcome = await self._writer.submit([event])
            # A crash here, or another replica, leaves an entry under that id.
            if isinstance(outcome, Refused) and outcome.why != RECHECK:
                raise IntegrityAlarm("The writer refused the entry of a rotation.")
            await asyncio.to_thread(self._keys.mark_rotation_recorded, rotation)
        return len(rotations)

    def _event(self, replaced: Registered, rotation: Registered) -> PreparedEvent:
        first = self._store.entry(0)
        if first is None or rotation.completed is None:
            raise IntegrityAlarm("There is no log to record a rotation in, or nothing to record.")
        return service_event(
            entries.decode(first)["stream"]["id"],
            ROTATED,
            instant(rotation.completed / 1000),
            {
                "wrapping_key": rotation.ref,
                "keeper": rotation.key.keeper,
                "replaces": replaced.ref,
                "replaced_keeper": replaced.key.keeper,
                "began_at": instant(rotation.began / 1000),
            },
            rotation.entry_id,
        )

    @contextlib.asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        """Record rotations as they are completed, for as long as this is entered."""
        stopping = asyncio.Event()
        task = asyncio.create_task(self._keep_recording(stopping))
        try:
            yield
        finally:
            stopping.set()
            await task

    async def _keep_recording(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self.record()
            except database_errors(LedgerError) as error:
                log_error("a rotation of the wrapping key is not recorded yet", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _LOOK_SECONDS)
