"""Reading: what each caller may see of the log, and nothing that tells what they may not.

Guarantees: an entry or case that is unknown and one that is forbidden give the same NotFound, after
the same looks. Reading one case, by whatever route, is recorded before anything is returned, and
what is returned was there when that had been recorded. That something has expired is told to those
who can read so in the log, or could have read the case.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ledger.access import (
    PERSONAL_KINDS,
    Credential,
    Operation,
    Owner,
    check_operation,
    controller_of,
    may_read_entry,
    owner_in,
    sealed_classes,
)
from ledger.batches import Batches
from ledger.consultation import check_actor, check_purpose
from ledger.errors import BeyondTheLog, FieldError, NotFound
from ledger.exports.bundles import read_entry_bundle, read_hash_tile
from ledger.log.clock import instant
from ledger.marks import OpenedEntry, Shown, marks_of
from ledger.opening import Opened, Opener
from ledger.owners import owners_of, whose
from ledger.projections.cases import CaseIndex, replay
from ledger.queries import ENTRY, ENTRY_BUNDLES, FEED, Queries, ledger_stream
from ledger.receipts import ReceiptMaker
from ledger.recording import Recorder
from ledger.store.base import Store
from ledger.streams import Streams, openable
from ledger.tombstones import Tombstones, expired
from ledger.vault.threads import in_vault_thread
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.tiles import Tile

#: Entries looked at for one page of the feed, however few of them the caller may read.
MAX_SCAN: Final = 5_000
#: Seconds that a request for the checkpoint waits for one that covers what is committed, and
#: between looks. Longer publication intervals are not waited out.
MAX_CHECKPOINT_WAIT: Final = 2.0
CHECKPOINT_POLL: Final = 0.05

#: Whose owner is looked for where there is no entry: a look like any other.
_NOBODY: Final = StreamRef("case", "00000000-0000-4000-8000-000000000000")

Given = TypeVar("Given")
Visible = tuple[int, bytes]


class Reader:
    """Reads one ledger on behalf of credentials."""

    def __init__(
        self,
        store: Store,
        opener: Opener,
        recorder: Recorder,
        receipts: ReceiptMaker,
        cases: CaseIndex,
        streams: Streams,
        tombstones: Tombstones,
    ) -> None:
        self._streams = streams
        self._store, self._opener, self._recorder = store, opener, recorder
        self._receipts, self._cases = receipts, cases
        self._tombstones = tombstones
        self._queries = Queries(recorder, lambda: ledger_stream(store.entry(0)))

    async def entry(
        self, credential: Credential, position: int, actor: str | None, purpose: str | None
    ) -> bytes:
        """The exact bytes of an entry; the reading is recorded first. A person's reading of what is
        in a stream about somebody is a consultation of it; a machine's is a query of the log.
        Raises NotFound, Expired, ActorRequired, PurposeRequired."""
        check_operation(credential, Operation.READ_ENTRIES)
        covered = self._queries.covers(credential, ENTRY, position, actor=actor, purpose=purpose)
        raw, entry, owner = await asyncio.to_thread(self._visible, credential, position)
        if entry["stream"]["kind"] not in PERSONAL_KINDS or (credential.machine and covered):
            return raw
        if credential.machine:
            await self._queries.cover(credential, ENTRY, position, actor=actor, purpose=purpose)
        else:
            check_actor(credential, actor)
            if purpose is not None:
                purpose = check_purpose(purpose)
            await self._streams.record(
                credential, entry, owner, actor=actor, channel="api", purpose=purpose
            )
        # What has expired since is not given out.
        raw, _, _ = await asyncio.to_thread(self._visible, credential, position)
        return raw

    async def receipt(self, credential: Credential, position: int) -> str:
        """A receipt for an entry that the caller may read; raises NotFound or Expired."""
        check_operation(credential, Operation.READ_ENTRIES)
        await asyncio.to_thread(self._visible, credential, position)
        receipt = await asyncio.to_thread(self._receipts.newest, position)
        await self._recorder.cover(receipt.size)
        return receipt.text

    def _visible(
        self, credential: Credential, position: int
    ) -> tuple[bytes, dict[str, Any], Owner]:
        # The same looks, whatever comes of them.
        raw, gone = self._store.entry(position), self._store.has_expired(position)
        entry = {} if raw is None else entries.decode(raw)
        stream = StreamRef(entry["stream"]["kind"], entry["stream"]["id"]) if entry else _NOBODY
        owner = whose(self._store, self._tombstones, stream).owner
        if raw is None:
            # The entry that says so is in the ledger stream, which whoever reads entries reads.
            raise expired() if gone else NotFound
        owner = owner or owner_in(entry)
        if not may_read_entry(credential, entry, owner):
            raise NotFound
        return raw, entry, owner

    async def feed(
        self,
        credential: Credential,
        after: int,
        limit: int,
        types: frozenset[str] | None,
        hub: str | None,
        actor: str | None,
        purpose: str | None,
    ) -> tuple[list[Visible], int, int]:
        """Entries after a position that the caller may read, the position to go on from, and the
        size of the log, as far as it is given out to the caller now; the query is recorded before
        any entry of a stream about somebody is returned. Raises PurposeRequired."""
        check_operation(credential, Operation.READ_ENTRIES)
        return await self._queried(
            credential,
            FEED,
            after + 1,
            actor=actor,
            purpose=purpose,
            read=lambda: self._feed(credential, after, limit, types, hub),
            about_people=lambda found: any(
                entries.decode(raw)["stream"]["kind"] in PERSONAL_KINDS for _, raw in found[0]
            ),
        )

    async def _queried(
        self,
        credential: Credential,
        route: str,
        position: int,
        *,
        actor: str | None,
        purpose: str | None,
        read: Callable[[], Given],
        about_people: Callable[[Given], bool],
    ) -> Given:
        """What `read` returns; where that is about people, as it is once the query for it is
        recorded."""

        def look() -> tuple[Given, bool]:
            found = read()
            return found, about_people(found)

        covered = self._queries.covers(credential, route, position, actor=actor, purpose=purpose)
        found, recorded = await asyncio.to_thread(look)
        if recorded and not covered:
            await self._queries.cover(credential, route, position, actor=actor, purpose=purpose)
            found = await asyncio.to_thread(read)
        return found

    def _feed(
        self,
        credential: Credential,
        after: int,
        limit: int,
        types: frozenset[str] | None,
        hub: str | None,
    ) -> tuple[list[Visible], int, int]:
        head = self._store.head()
        size = 0 if head is None else head.size
        batches = Batches(credential, types, instant(time.time()), self._cases.live_by_hub)
        found: list[Visible] = []
        reached, scanned = after, 0
        while len(found) < limit and scanned < MAX_SCAN:
            page = self._store.entries(reached + 1, min(1000, MAX_SCAN - scanned))
            decoded = [entries.decode(stored.raw) for stored in page]
            owners = owners_of(self._store, self._tombstones, decoded)
            for stored, entry in zip(page, decoded, strict=True):
                if len(found) == limit:
                    break
                readable = may_read_entry(credential, entry, owners[stored.stream])
                if readable and hub in (None, entry["hub"]):
                    if batches.waits(entry, owners[stored.stream].hub):
                        return found, reached, reached + 1
                    if types is None or stored.type in types:
                        found.append((stored.position, stored.raw))
                reached, scanned = stored.position, scanned + 1
            if not page:
                break
        return found, reached, size

    async def case(
        self, credential: Credential, case_id: str, actor: str | None, at: int | None
    ) -> dict[str, Any]:
        """The state of a case now, or as the first `at` entries of the log leave it.

        Raises ActorRequired, NotFound, Expired, BeyondTheLog.
        """
        check_operation(credential, Operation.READ_CASES)
        check_actor(credential, actor)
        if at is not None:
            await asyncio.to_thread(self._check_reached, at)
        consulted = await self._streams.consult(
            credential,
            StreamRef("case", case_id),
            actor=actor,
            channel="api",
            purpose=None,
            size=at,
            count=1,
        )
        stored = consulted.found.stored
        state = await asyncio.to_thread(replay, stored)
        return state.to_json() | {"last_position": stored[-1].position}

    def _check_reached(self, size: int) -> None:
        """The state at a size to come is not the state now. Raises BeyondTheLog."""
        head = self._store.head()
        reached = 0 if head is None else head.size
        if size > reached:
            raise BeyondTheLog(
                "The log has not so many entries yet.",
                [FieldError("?at", "is more than tree_size")],
                {"tree_size": reached},
            )

    async def sealed(
        self,
        credential: Credential,
        position: int,
        actor: str | None,
        purpose: str | None,
        reason: str | None,
    ) -> OpenedEntry:
        """The sealed fields of an entry that the caller may open, with its marks; the reading is
        recorded first. Raises ActorRequired, PurposeRequired, ReasonRequired, NotFound."""
        check_operation(credential, Operation.OPEN_SEALED)
        check_actor(credential, actor)
        purpose = check_purpose(purpose)
        _, entry, owner = await asyncio.to_thread(self._visible, credential, position)
        if not sealed_classes(credential, entry, owner):
            raise NotFound
        marks = await asyncio.to_thread(marks_of, self._store, entry)
        names = {**marks.names(credential, owner), position: openable(credential, entry, owner)}
        await self._streams.record(
            credential,
            entry,
            owner,
            actor=actor,
            channel="sealed-fields",
            purpose=purpose,
            reason=reason,
            opens=[name for some in names.values() for name in some],
        )

        def open_now() -> dict[int, Opened]:
            # What expired or was erased before the reading was recorded is not given out.
            try:
                return self._opener.open_all({**marks.decoded, position: entry})
            finally:
                self._visible(credential, position)

        opened = await in_vault_thread(open_now)
        shown = {at: Shown.of(found, names[at]) for at, found in opened.items()}
        return OpenedEntry(shown[position], marks.to_json(shown))

    async def cases(
        self, credential: Credential, after: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """A page of the caller's cases, in order of id, and the cursor of the next. It tells which
        cases there are, not what is in them: reading one case is recorded, by `case`."""
        check_operation(credential, Operation.READ_CASES)
        hubs = None if credential.all else credential.hubs
        controller = controller_of(credential)
        return await asyncio.to_thread(self._cases.page, hubs, controller, after, limit)

    async def checkpoint(self) -> bytes:
        """The newest published checkpoint; raises NotFound before the first.

        If entries are committed that no publication covers, this waits for the next one, within
        bounds: whoever was given a receipt and then asks finds it covered.
        """
        head = await asyncio.to_thread(self._store.head)
        deadline = time.monotonic() + MAX_CHECKPOINT_WAIT
        while True:
            published = await asyncio.to_thread(self._store.newest_publication)
            if published is None or head is None:
                raise NotFound
            if published[0] >= head.size or time.monotonic() > deadline:
                await self._recorder.cover(published[0])
                return published[1]
            await asyncio.sleep(CHECKPOINT_POLL)

    async def tile(self, tile: Tile) -> bytes:
        """A hash tile; raises NotFound beyond the committed head."""
        return await asyncio.to_thread(read_hash_tile, self._store, tile)

    async def entry_bundle(
        self, credential: Credential, tile: Tile, actor: str | None, purpose: str | None
    ) -> bytes:
        """An entry bundle; the query, of the whole log, is recorded first. Raises Forbidden,
        PurposeRequired, or NotFound beyond the committed head."""
        check_operation(credential, Operation.READ_BUNDLES)
        return await self._queried(
            credential,
            ENTRY_BUNDLES,
            0,
            actor=actor,
            purpose=purpose,
            read=lambda: read_entry_bundle(self._store, tile),
            about_people=lambda _: True,
        )
