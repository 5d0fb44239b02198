"""Reading: what each caller may see of the log, and nothing that tells what they may not.

Guarantees: an entry, stream or case that is unknown and one that is forbidden give the same
NotFound. Reading one case, by whatever route, is recorded before anything is returned. That
something has expired is told to those who can read so in the log, or could have read the case.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from ledger.access import (
    Credential,
    Operation,
    Owner,
    check_operation,
    controller_of,
    may_read_case,
    may_read_entry,
    sealed_classes,
)
from ledger.catalogue import CATALOGUE
from ledger.consultation import check_actor, check_purpose, check_reason, consultation
from ledger.errors import BeyondTheLog, FieldError, NotFound
from ledger.exports.bundles import case_members, packed, read_entry_bundle, read_hash_tile
from ledger.opening import Opener
from ledger.openings import Openings
from ledger.owners import owners_of, stream_of
from ledger.projections.cases import CaseIndex, replay
from ledger.queries import ENTRY, ENTRY_BUNDLES, FEED, Queries, ledger_stream
from ledger.receipts import ReceiptMaker
from ledger.recording import Recorder
from ledger.store.base import Store
from ledger.store.records import StoredEntry
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

#: Kinds of stream that are about people. An access stream, too, tells who read about whom.
PRIVATE_KINDS: Final = frozenset({"access", "case", "content", "party", "restricted"})

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
        openings: Openings,
        tombstones: Tombstones,
    ) -> None:
        self._openings = openings
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
        raw, entry, owner = await asyncio.to_thread(self._visible, credential, position)
        if entry["stream"]["kind"] in PRIVATE_KINDS:
            if credential.machine:
                await self._queries.cover(credential, ENTRY, position, actor=actor, purpose=purpose)
            else:
                await self._consult(credential, entry, owner, actor, purpose)
        return raw

    async def _consult(
        self,
        credential: Credential,
        entry: Mapping[str, Any],
        owner: Owner,
        actor: str | None,
        purpose: str | None,
    ) -> None:
        check_actor(credential, actor)
        if purpose is not None:
            purpose = check_purpose(purpose)
        await self._recorder.record_for_service(
            consultation(credential, entry, owner.hub, actor=actor, channel="api", purpose=purpose)
        )

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
        raw = self._store.entry(position)
        if raw is None:
            # The entry that says so is in the ledger stream, which whoever reads entries reads.
            raise expired() if self._store.has_expired(position) else NotFound
        entry = entries.decode(raw)
        owner = owners_of(self._store, self._tombstones, [entry])[stream_of(entry)]
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
        size of the log; the query is recorded before any entry of a stream about somebody is
        returned. Raises PurposeRequired."""
        check_operation(credential, Operation.READ_ENTRIES)
        found = await asyncio.to_thread(self._feed, credential, after, limit, types, hub)
        if any(entries.decode(raw)["stream"]["kind"] in PRIVATE_KINDS for _, raw in found[0]):
            await self._queries.cover(credential, FEED, after + 1, actor=actor, purpose=purpose)
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
        found: list[Visible] = []
        reached, scanned = after, 0
        while len(found) < limit and scanned < MAX_SCAN:
            page = self._store.entries(reached + 1, min(1000, MAX_SCAN - scanned))
            decoded = [entries.decode(stored.raw) for stored in page]
            owners = owners_of(self._store, self._tombstones, decoded)
            for stored, entry in zip(page, decoded, strict=True):
                if len(found) == limit:
                    break
                reached, scanned = stored.position, scanned + 1
                if types is not None and stored.type not in types:
                    continue
                if hub is not None and entry["hub"] != hub:
                    continue
                if may_read_entry(credential, entry, owners[stored.stream]):
                    found.append((stored.position, stored.raw))
            if not page:
                break
        return found, reached, size

    def find_case(self, credential: Credential, case_id: str) -> tuple[list[StoredEntry], Owner]:
        """A case's entries and whose it is; raises Expired, or NotFound after the same looks
        whether there is none or it is not for the caller: how long it takes must not tell."""
        stream = StreamRef("case", case_id).text
        head = self._store.stream_head(stream)
        owner = Owner("", "") if head is None else Owner(head.hub, head.organisation)
        if not may_read_case(credential, owner) or head is None:
            was = self._tombstones.look((), [stream]).streams.get(stream)
            if was is not None and may_read_case(credential, Owner(*was)):
                raise expired()
            raise NotFound
        stored = self._store.stream(stream)
        if not stored:
            # It has expired since its head was looked at.
            raise expired()
        return stored, owner

    async def case(
        self, credential: Credential, case_id: str, actor: str | None, at: int | None
    ) -> dict[str, Any]:
        """The state of a case now, or as the first `at` entries of the log leave it.

        Raises ActorRequired, NotFound, Expired, BeyondTheLog.
        """
        check_operation(credential, Operation.READ_CASES)
        check_actor(credential, actor)
        stored, owner = await asyncio.to_thread(self.find_case, credential, case_id)
        if at is not None:
            await asyncio.to_thread(self._check_reached, at)
            stored = [entry for entry in stored if entry.position < at]
        if not stored:
            raise NotFound
        first = entries.decode(stored[0].raw)
        await self._recorder.record_for_service(
            consultation(credential, first, owner.hub, actor=actor, channel="api", purpose=None)
        )
        return replay(stored).to_json() | {"last_position": stored[-1].position}

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

    async def case_bundle(
        self,
        credential: Credential,
        case_id: str,
        actor: str | None,
        purpose: str | None,
        reason: str | None,
    ) -> bytes:
        """The evidence bundle of a case; with a purpose, with the sealed fields that the caller
        may open. Raises ActorRequired, PurposeRequired, ReasonRequired, NotFound."""
        check_operation(credential, Operation.READ_CASES)
        check_actor(credential, actor)
        if purpose is not None:
            purpose = check_purpose(purpose)
        stored, owner = await asyncio.to_thread(self.find_case, credential, case_id)
        decoded = {one.position: entries.decode(one.raw) for one in stored}
        wanted: dict[int, list[str]] = {}
        if purpose is not None:
            for position, entry in decoded.items():
                wanted[position] = openable(credential, entry, owner)
        reason = (
            await self.reason_for(credential, actor, stream_of(decoded[stored[0].position]), reason)
            if any(wanted.values())
            else None
        )
        await self._recorder.record_for_service(
            consultation(
                credential,
                decoded[stored[0].position],
                owner.hub,
                actor=actor,
                channel="case-bundle",
                purpose=purpose,
                fields_opened=[name for names in wanted.values() for name in names],
                count=len(stored),
                reason=reason,
            )
        )
        # Opened only now: what was erased before the reading was recorded is not given out.
        size, raw = await in_vault_thread(self._bundle, stored, decoded, wanted)
        await self._recorder.cover(size)
        return raw

    def _bundle(
        self,
        stored: list[StoredEntry],
        decoded: Mapping[int, Mapping[str, Any]],
        wanted: Mapping[int, list[str]],
    ) -> tuple[int, bytes]:
        opened = self._opener.open_all({p: decoded[p] for p, names in wanted.items() if names})
        texts = {
            position: [
                disclosure.text
                for disclosure in found.disclosures
                if disclosure.name in wanted[position]
            ]
            for position, found in opened.items()
        }
        size, _, members = case_members(self._store, stored, texts)
        return size, packed(members)

    async def reason_for(
        self, credential: Credential, actor: str | None, stream: str, reason: str | None
    ) -> str | None:
        """The reason for opening a stream's sealed fields, which counts from here on; raises
        ReasonRequired when the reader opens those of many and gives none."""
        streams = await asyncio.to_thread(self._openings.note, credential, actor, stream)
        return check_reason(reason, streams)

    async def sealed(
        self,
        credential: Credential,
        position: int,
        actor: str | None,
        purpose: str | None,
        reason: str | None,
    ) -> dict[str, Any]:
        """The sealed fields of an entry that the caller may open, by name; the reading is recorded
        first. Raises ActorRequired, PurposeRequired, ReasonRequired, NotFound."""
        check_operation(credential, Operation.OPEN_SEALED)
        check_actor(credential, actor)
        purpose = check_purpose(purpose)
        _, entry, owner = await asyncio.to_thread(self._visible, credential, position)
        if not sealed_classes(credential, entry, owner):
            raise NotFound
        names = openable(credential, entry, owner)
        reason = await self.reason_for(credential, actor, stream_of(entry), reason)
        await self._recorder.record_for_service(
            consultation(
                credential,
                entry,
                owner.hub,
                actor=actor,
                channel="sealed-fields",
                purpose=purpose,
                fields_opened=names,
                reason=reason,
            )
        )
        # Opened only now: what was erased before the reading was recorded is not given out.
        opened = await in_vault_thread(self._opener.open, position, entry)
        return {name: value for name, value in opened.values.items() if name in names}

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
        raw = await asyncio.to_thread(read_entry_bundle, self._store, tile)
        await self._queries.cover(credential, ENTRY_BUNDLES, 0, actor=actor, purpose=purpose)
        return raw


def openable(credential: Credential, entry: Mapping[str, Any], owner: Owner) -> list[str]:
    """Names of the sealed fields of an entry that the caller may open."""
    classes = sealed_classes(credential, entry, owner)
    event_type = CATALOGUE.get(entry["type"], entry["schema"])
    if event_type is None:
        return []
    return [name for name, found in event_type.sealed.items() if found in classes]
