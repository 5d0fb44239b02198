"""Streams: found for those who may read them, and read only once that reading is recorded.

Guarantees: whether a stream is unknown, forbidden, or expired and not for the caller to know of,
the same looks are taken before the same NotFound. Every reading of a whole stream, by whatever
route, goes through `Streams.consult`: the reading is recorded, with the fields it opens and for
what, and then the stream is looked for again, so that what expired or was erased before it was
recorded is not given out. A reading of `kind/U` is recorded in `access/U`; so is one of `access/U`
itself, since to look at who looked is a consultation too. (DPA 2018 s.62.)
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.access import Credential, Owner, may_read_stream, sealed_classes
from ledger.catalogue import CATALOGUE
from ledger.consultation import check_reason, consultation
from ledger.errors import NotFound, VaultUnavailable
from ledger.opening import Opener
from ledger.openings import Openings
from ledger.owners import stream_of, whose
from ledger.recording import Recorder
from ledger.store.base import Store
from ledger.store.records import StoredEntry
from ledger.tombstones import Tombstones, expired
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.entry import StreamRef

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A stream as its reader finds it: whose it is, and its entries, stored and decoded."""

    stream: StreamRef
    owner: Owner
    stored: tuple[StoredEntry, ...]
    decoded: Mapping[int, Entry]


@dataclass(frozen=True, slots=True)
class Consulted:
    """A stream of which `event` records the reading: what was there to read by then, and the names
    of the sealed fields to be opened, by position."""

    found: Found
    names: Mapping[int, Sequence[str]]
    event: str

    @property
    def opens(self) -> bool:
        """Whether the reading opens any sealed field."""
        return any(self.names.values())

    @property
    def first(self) -> Entry:
        """The first entry of the stream."""
        return self.found.decoded[self.found.stored[0].position]


#: Names of the sealed fields that a reading of a stream opens, by position.
Fields = Callable[[Found], Mapping[int, Sequence[str]]]


class Streams:
    """Finds and reads the streams of one ledger on behalf of credentials."""

    def __init__(
        self,
        store: Store,
        opener: Opener,
        recorder: Recorder,
        openings: Openings,
        tombstones: Tombstones,
    ) -> None:
        self._store, self._opener, self._recorder = store, opener, recorder
        self._openings, self._tombstones = openings, tombstones

    def find(self, credential: Credential, stream: StreamRef, size: int | None = None) -> Found:
        """A stream's entries, those below a tree size alone if one is given. Raises Expired, or
        NotFound after the same looks whether there is none or it is not for the caller: how long
        it takes must not tell."""
        known = whose(self._store, self._tombstones, stream)
        if known.owner is None or not may_read_stream(credential, stream.kind, known.owner):
            raise NotFound
        stored = self._store.stream(stream.text)
        if not stored:
            # Where there was one, it has expired since.
            raise expired() if known.there or known.expired else NotFound
        below = tuple(one for one in stored if size is None or one.position < size)
        if not below:
            raise NotFound
        decoded = {one.position: entries.decode(one.raw) for one in below}
        return Found(stream, known.owner, below, decoded)

    async def consult(
        self,
        credential: Credential,
        stream: StreamRef,
        *,
        actor: str | None,
        channel: str,
        purpose: str | None,
        reason: str | None = None,
        size: int | None = None,
        fields: Fields = lambda _found: {},
        count: int | None = None,
    ) -> Consulted:
        """Record the reading of a stream, and read it. `count` is how many records it returns: its
        entries, unless it is given. Raises NotFound, Expired, ReasonRequired, and what recording
        raises."""

        def find() -> tuple[Found, Mapping[int, Sequence[str]]]:
            found = self.find(credential, stream, size)
            return found, fields(found)

        found, names = await asyncio.to_thread(find)
        event = await self.record(
            credential,
            found.decoded[found.stored[0].position],
            found.owner,
            actor=actor,
            channel=channel,
            purpose=purpose,
            reason=reason,
            opens=[name for some in names.values() for name in some],
            count=len(found.stored) if count is None else count,
        )
        # Only what is there now is given out. What was recorded since is not: it is another state.
        still = await asyncio.to_thread(self._store.stream, stream.text)
        if not still:
            raise expired()
        return Consulted(found, names, event)

    async def record(
        self,
        credential: Credential,
        entry: Entry,
        owner: Owner,
        *,
        actor: str | None,
        channel: str,
        purpose: str | None,
        reason: str | None = None,
        opens: Sequence[str] = (),
        count: int = 1,
    ) -> str:
        """Record a reading of the stream that an entry is of; returns the id of the event. One that
        opens sealed fields counts from here on among those of its reader. Raises ReasonRequired
        when the reader opens those of many and gives none."""
        if opens:
            note = self._openings.note
            streams = await asyncio.to_thread(note, credential, actor, stream_of(entry))
            reason = check_reason(reason, streams)
        event = consultation(
            credential,
            entry,
            owner.hub,
            actor=actor,
            channel=channel,
            purpose=purpose,
            fields_opened=opens,
            count=count,
            reason=reason if opens else None,
        )
        await self._recorder.record_for_service(event)
        return event.submission.id

    def disclosures(self, consulted: Consulted) -> dict[int, list[str]]:
        """The disclosures that the reading opens and that are not gone, by position. Blocks. Raises
        Expired, VaultUnavailable."""
        if not consulted.opens:
            return {}
        wanted = {p: consulted.found.decoded[p] for p, names in consulted.names.items() if names}
        try:
            opened = self._opener.open_all(wanted)
        except VaultUnavailable:
            if self._store.stream_head(consulted.found.stream.text) is None:
                raise expired() from None
            raise
        return {
            position: [one.text for one in found.disclosures if one.name in names]
            for position, found in opened.items()
            for names in (consulted.names[position],)
        }


def openable(credential: Credential, entry: Entry, owner: Owner) -> list[str]:
    """Names of the sealed fields of an entry that the caller may open."""
    classes = sealed_classes(credential, entry, owner)
    event_type = CATALOGUE.get(entry["type"], entry["schema"])
    if event_type is None:
        return []
    return [name for name, found in event_type.sealed.items() if found in classes]
