"""Verifying erasures: after each, the ledger looks for what was destroyed, and records that it is
gone; and once the declared horizon of the backups has passed, it records that too.

Guarantees: `erasure.verified` is recorded only after a scan that found nothing, once for each
erasure, however many services do so. What is not found gone is looked for again. An erasure that an
earlier life of the service recorded is verified by this one, without a search of files: what was
stored is known to nobody any more. One whose stream expires meanwhile needs no verification: the
expiry explains all of it. A failure, whatever it is, is logged, holds up nothing but what failed,
and is tried again; it never touches what is recorded otherwise.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from ledger.errorlog import log_error
from ledger.intake import Draft, service_draft
from ledger.log.clock import instant
from ledger.scanning import Executed, Scan
from ledger.store.base import Store
from ledger.store.records import ERASURE
from ledger.tombstones import expired
from ledger.vault.threads import in_vault_thread
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.entry import SERVICE_CODE, StreamRef

VERIFIED: Final = "erasure.verified"
HORIZON: Final = "backup.horizon_passed"
#: Seconds between one look and the next at what was not found gone: the first of them, and the most
#: that they become; and between looks for horizons that have passed.
RETRY_SECONDS: Final = 0.5
MAX_RETRY_SECONDS: Final = 60.0
HORIZON_SECONDS: Final = 3600.0
_PAGE: Final = 1000

Record = Callable[[Draft], Awaitable[object]]


class Verifying:
    """Verifies the erasures of one ledger, one scan at a time."""

    def __init__(self, store: Store, scan: Scan, record: Record, horizon_days: int) -> None:
        self._store, self._scan, self._record = store, scan, record
        self._horizon_days = horizon_days
        self._pending: dict[int, Executed] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._patience = RETRY_SECONDS

    def add(self, executed: Executed) -> None:
        """An erasure was recorded."""
        self._pending[executed.position] = executed
        self._patience = RETRY_SECONDS
        self._idle.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Return once every erasure that was added has been verified."""
        await self._idle.wait()

    async def run(self) -> None:
        """Verify until cancelled: first what earlier services left, then what is added."""
        taken_up, due = False, 0.0
        while True:
            self._wake.clear()
            # Until then, nobody knows that nothing is waiting.
            taken_up = taken_up or await self._guarded(self._take_up())
            if time.monotonic() >= due:
                await self._guarded(self._note_horizons())
                due = time.monotonic() + HORIZON_SECONDS
            await self._guarded(self._look())
            done = taken_up and not self._pending
            if done:
                self._idle.set()
            with contextlib.suppress(TimeoutError):
                patience = due - time.monotonic()
                if not done:
                    patience = self._patience
                    self._patience = min(2 * self._patience, MAX_RETRY_SECONDS)
                await asyncio.wait_for(self._wake.wait(), max(0.0, patience))

    async def _guarded(self, step: Awaitable[None]) -> bool:
        """Whether a step was done. One that fails is logged and taken again: nothing waits for it
        but the certificate."""
        try:
            await step
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            log_error("an erasure could not be verified yet", error)
            return False
        return True

    async def _take_up(self) -> None:
        for executed in await asyncio.to_thread(self._unverified):
            self._pending.setdefault(executed.position, executed)

    def _unverified(self) -> list[Executed]:
        done = {_named_by(entry) for _, entry in self._all(VERIFIED)}
        return [
            Executed(position)
            for position, entry in self._all(ERASURE)
            if _name_of(entry) not in done
        ]

    def _all(self, type_name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        start = 0
        while found := self._store.entries(start, _PAGE, [type_name]):
            for stored in found:
                yield stored.position, entries.decode(stored.raw)
            start = found[-1].position + 1

    async def _look(self) -> None:
        for position in await asyncio.to_thread(self._expired, list(self._pending)):
            self._pending.pop(position, None)
        executed = list(self._pending.values())
        if not executed:
            return
        clean = await in_vault_thread(self._scan.look, executed)
        for position, checked in clean.items():
            if await self._guarded(self._verify(position, checked)):
                self._pending.pop(position, None)

    def _expired(self, positions: Sequence[int]) -> list[int]:
        return [position for position in positions if self._store.has_expired(position)]

    async def _verify(self, position: int, checked: list[str]) -> None:
        event = await asyncio.to_thread(self._verification, position, checked)
        if event is not None:
            await self._say(event)

    async def _say(self, event: Draft) -> None:
        await self._record(event)

    def _verification(self, position: int, checked: list[str]) -> Draft | None:
        raw = self._store.entry(position)
        if raw is None:
            raise expired()
        data = {"checked": checked, "horizon_days": self._horizon_days}
        return self._said(VERIFIED, entries.decode(raw), data)

    def _said(self, type_name: str, erasure: dict[str, Any], data: dict[str, Any]) -> Draft | None:
        """What the ledger says of an erasure; None when it has said so before. Its id follows from
        the erasure's, which is of the same stream: whoever says it again says the same event."""
        event_id = id_of(type_name, *_name_of(erasure))
        if self._store.duplicates([(SERVICE_CODE, event_id)]):
            return None
        stream = StreamRef(erasure["stream"]["kind"], erasure["stream"]["id"])
        head = self._store.stream_head(stream.text)
        if head is None:
            raise expired()
        return service_draft(
            type_name,
            stream,
            head.hub,
            instant(time.time()),
            {"executed_event": erasure["id"], **data},
            event_id,
        )

    async def _note_horizons(self) -> None:
        for event in await asyncio.to_thread(self._passed):
            await self._guarded(self._say(event))

    def _passed(self) -> list[Draft]:
        """What is to be recorded of the horizons that have passed by now. What somebody said of one
        too early says nothing."""
        today = instant(time.time())[:10]
        ends = {_named_by(entry): _end_of(entry) for _, entry in self._all(VERIFIED)}
        said = {
            _named_by(entry)
            for _, entry in self._all(HORIZON)
            if entry["occurred_at"][:10] >= ends.get(_named_by(entry), "9999")
        }
        found = []
        for _, erasure in self._all(ERASURE):
            name = _name_of(erasure)
            if name in said or not ends.get(name, "9999") <= today:
                continue
            event = self._said(HORIZON, erasure, {})
            if event is not None:
                found.append(event)
        return found


#: What an erasure is known by: its stream and its id, which is unique in that stream alone.
_Name = tuple[str, str]


def _name_of(erasure: dict[str, Any]) -> _Name:
    return f"{erasure['stream']['kind']}/{erasure['stream']['id']}", str(erasure["id"])


def _named_by(entry: dict[str, Any]) -> _Name:
    """The erasure that an entry of the same stream speaks of."""
    return _name_of(entry)[0], str(entry["data"]["executed_event"])


def _end_of(verification: dict[str, Any]) -> str:
    """The first day on which no backup may hold what was verified to be gone."""
    begun = date.fromisoformat(verification["occurred_at"][:10])
    return (begun + timedelta(days=verification["data"]["horizon_days"])).isoformat()


def id_of(type_name: str, stream: str, erasure: str) -> str:
    """The id of what the ledger says of an erasure: the same for whoever says it."""
    digest = sha256(f"{type_name} {stream} {erasure}".encode()).digest()
    return str(UUID(bytes=digest[:16], version=4))
