"""The draft of a batch: what it will append, built up submission by submission under the head lock.

Guarantees: a submission is drafted whole or refused, and a refusal leaves the draft as it was;
every entry drafted has been held against the rules a verifier will apply, so that a worker's word
is not taken for what is written for good.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.errors import IntegrityAlarm
from ledger.log.expire import explaining, may_be_carried_out
from ledger.log.messages import (
    AHEAD,
    HUB,
    KEY,
    NOTHING,
    RECHECK,
    TAKEN,
    VERSION,
    PreparedEvent,
    Refused,
)
from ledger.retention import DECIDING, ORDER
from ledger.store.expiry import ExpiryRows
from ledger.store.records import (
    ATTRIBUTION,
    ERASURE,
    SUBJECT,
    DestroyedKey,
    Expiry,
    ExpiryPlan,
    RecordedEntry,
    SealedRow,
    StreamHead,
)
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.errors import EntryError
from ledger_verifier.formats.merkle import leaf_hash
from ledger_verifier.meaning.schemas import SCHEMA_REGISTERED, Registry

_NO_STREAM: Final = StreamHead(0, b"", "", "", None, None)
#: Kinds of stream that an access stream may tell of: `access/U` is about `kind/U`.
_READ_KINDS: Final = tuple(sorted(entries.STREAM_KINDS - {"access"}))


@dataclass(slots=True)
class Draft:
    """What a batch will append: built up submission by submission, written once."""

    first: int
    recorded_at: str
    heads: dict[str, StreamHead]
    duplicates: dict[tuple[str, str], int]
    destroyed: set[str]
    stored_keys: Callable[[str], set[str]]
    stored_positions: Callable[[str], dict[int, int]]
    registry: Registry
    expiry: ExpiryRows
    #: The tree size after the last expiry.
    through: int = 0
    #: Id of the stream of entry 0; needed where something expires.
    ledger: str = ""
    changed: dict[str, StreamHead] = field(default_factory=dict)
    stored: list[RecordedEntry] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    sealed: list[SealedRow] = field(default_factory=list)
    keys: list[tuple[str, str, int]] = field(default_factory=list)
    erased: list[DestroyedKey] = field(default_factory=list)
    resealed: list[SealedRow] = field(default_factory=list)
    expiries: list[Expiry] = field(default_factory=list)

    def add(self, submission: Sequence[PreparedEvent]) -> Refused | int:
        """Draft a whole submission: where it starts in the draft, or why it is refused."""
        refusal = self._check(submission)
        if refusal is not None:
            return refusal
        start = len(self.stored)
        for event in submission:
            self._stamp(event)
        for index, event in enumerate(submission):
            if event.expires is not None:
                self._expire(event.expires, start + index)
        return start

    def _expire(self, plan: ExpiryPlan, order: int) -> None:
        """Draft the entries that explain what the order at this place of the draft removes, and
        note what goes with them."""
        spans = []
        for event, group in explaining(plan, self.ledger, self.first + order, self.recorded_at):
            spans.append((self.first + len(self.stored), group))
            self._stamp(event)
        self.expiries.append(Expiry(plan, tuple(spans)))
        self.through = self.expiries[-1].position + 1

    def _check(self, submission: Sequence[PreparedEvent]) -> Refused | None:
        seen: dict[str, StreamHead] = {}
        ids: set[tuple[str, str]] = set()
        gone = set(self.destroyed)
        # A stream is erased once in a batch: what another erasure kept would not be seen here.
        erased = {destroyed.stream for destroyed in self.erased}
        for index, event in enumerate(submission):
            if event.erases is not (event.entry.get("type") == ERASURE):
                raise IntegrityAlarm("A worker prepared an erasure that is none, or hid one.")
            stream = stream_text(event)
            head = seen.get(stream) or self._head(stream)
            key = (event.source, event.entry["id"])
            if key in self.duplicates or key in ids:
                return Refused(RECHECK, index)
            # What expired meanwhile is not for the writer to know: it has no key to tell it by.
            if event.expired_through not in (None, self.through):
                return Refused(RECHECK, index)
            if event.expires is not None and not self._may_expire(submission, event.expires):
                return Refused(RECHECK, index)
            # Whose stream it is comes first: its version is not for others to learn.
            if not event.any_hub and self._hub(event, head) != event.entry["hub"]:
                return Refused(HUB, index)
            if not head.version and self._is_taken(event, seen):
                return Refused(TAKEN, index)
            if entries.is_ahead(event.entry["occurred_at"], self.recorded_at):
                return Refused(AHEAD, index)
            if event.seen_version not in (None, head.version):
                return Refused(RECHECK, index)
            if event.expected_version not in (None, head.version):
                return Refused(VERSION, index, head.version)
            if not _keys_are_current(head, event, gone):
                return Refused(KEY, index)
            if event.erases and head.subject_key is None and not self._rows_left(stream):
                return Refused(NOTHING, index)
            if event.erases and (stream in erased or not self._reseals_the_rest(stream, event)):
                return Refused(RECHECK, index)
            ids.add(key)
            erased.update([stream] if event.erases else [])
            if event.erases and head.subject_key is not None:
                gone.add(head.subject_key)
            seen[stream] = self._after(head, event, b"")
        return None

    def _may_expire(self, submission: Sequence[PreparedEvent], plan: ExpiryPlan) -> bool:
        """Whether a plan is still right, what this batch holds already included."""
        # What this batch has drafted, or is about to, is not in the store yet.
        drafted = {entry.type for entry in self.stored} | {e.entry["type"] for e in submission}
        touched = self.changed.keys() | {stream_text(event) for event in submission}
        if touched & {one.stream for one in plan.doomed} or drafted.intersection(DECIDING):
            return False
        return may_be_carried_out(plan, self.expiry)

    def _hub(self, event: PreparedEvent, head: StreamHead) -> str:
        """The hub that the event's stream belongs to. What was read decides for `access/U`, also
        before anything is in it: nobody takes it by being first."""
        stream = event.entry["stream"]
        if stream["kind"] == "access":
            for kind in _READ_KINDS:
                read = self._head(f"{kind}/{stream['id']}")
                if read.version:
                    return read.hub
        return head.hub if head.version else str(event.entry["hub"])

    def _is_taken(self, event: PreparedEvent, seen: Mapping[str, StreamHead]) -> bool:
        """Whether a stream that begins would share its id: `access/U` tells of one stream, and is
        its owner's. Of its own it may be there before, but not as that of a staff reference, which
        is of no borough."""
        stream, hub = event.entry["stream"], event.entry["hub"]
        if stream["kind"] == "access":
            return False
        names = [f"{kind}/{stream['id']}" for kind in _READ_KINDS]
        others = [seen.get(name) or self._head(name) for name in names]
        if any(other.version for other in others):
            return True
        access = self._head(f"access/{stream['id']}")
        return access.version > 0 and access.hub == entries.CENTRAL_HUB != hub

    def _head(self, stream: str) -> StreamHead:
        return self.changed.get(stream) or self.heads.get(stream) or _NO_STREAM

    def _after(self, head: StreamHead, event: PreparedEvent, link: bytes) -> StreamHead:
        keys = {key_class: key_id for key_class, key_id, _ in event.sealed}
        subject = keys.get(SUBJECT, head.subject_key)
        if event.erases:
            subject = event.resealed[0][1] if event.resealed else None
        return StreamHead(
            head.version + 1,
            link,
            head.hub if head.version else event.entry["hub"],
            head.organisation if head.version else event.entry["organisation"],
            subject,
            keys.get(ATTRIBUTION, head.attribution_key),
        )

    def _stamp(self, event: PreparedEvent) -> None:
        stream = stream_text(event)
        head = self._head(stream)
        position = self.first + len(self.stored)
        entry: dict[str, Any] = {
            **event.entry,
            "recorded_at": self.recorded_at,
            "stream": {
                **event.entry["stream"],
                "version": head.version + 1,
                "previous": head.link.hex() if head.version else None,
            },
        }
        if event.erases:
            doomed = self._doomed(stream, head)
            entry["data"] = {**entry["data"], **_stamped(event, doomed, head.version)}
            kept = event.versions is not None
            self.erased += [DestroyedKey(key_id, stream, position, kept) for key_id in doomed]
            self.destroyed.update(doomed)
            self.resealed += [SealedRow(place, SUBJECT, k, raw) for place, k, raw in event.resealed]
        raw = entries.canonical(entry)
        if len(raw) > entries.MAX_ENTRY:
            # Workers check sizes with room for what is stamped here; nothing is written.
            raise IntegrityAlarm("A prepared entry is over the size limit of the format.")
        _hold_against(self.registry, event, raw)
        self.changed[stream] = self._after(head, event, entries.link_hash(raw))
        self.stored.append(RecordedEntry(stream, head.version + 1, entry["type"], raw))
        self.leaves.append(leaf_hash(raw))
        self.sealed += [SealedRow(position, c, key_id, raw_) for c, key_id, raw_ in event.sealed]
        self.keys.append((event.source, entry["id"], position))
        self.duplicates[(event.source, entry["id"])] = position

    def _doomed(self, stream: str, head: StreamHead) -> list[str]:
        """Ids of the keys that an erasure of this stream destroys: those that its sealed fields
        are stored under, whatever the stream's head says."""
        doomed = self._rows_left(stream)
        if head.subject_key not in doomed | {None} or (doomed and head.subject_key is None):
            raise IntegrityAlarm(
                "A stream's head and its sealed fields name different keys: the event store has "
                "been altered. Run hub-ledger fsck."
            )
        return sorted(doomed)

    def _reseals_the_rest(self, stream: str, event: PreparedEvent) -> bool:
        """Whether an erasure of some entries holds exactly what it keeps of the stream: something
        that was recorded meanwhile must not go with the old key."""
        if event.versions is None:
            return not event.resealed
        places = self.stored_positions(stream)
        kept = {place for place, version in places.items() if version not in event.versions}
        keys = {key_id for _, key_id, _ in event.resealed}
        return (
            kept == {place for place, _, _ in event.resealed}
            and len(kept) == len(event.resealed)
            and len(kept) < len(places)
            and len(keys) <= 1
            # Nor under what goes with it: the key that an erasure not carried out yet made.
            and not keys & (self.destroyed | self._rows_left(stream))
            and not any(self._is_subject(row, stream) for row in self.sealed)
        )

    def _rows_left(self, stream: str) -> set[str]:
        """Ids of the keys that sealed fields of a stream are stored under, and are not doomed."""
        first = {row.key_id for row in self.sealed if self._is_subject(row, stream)}
        # An earlier erasure of this batch may have doomed what the batch itself holds.
        return (self.stored_keys(stream) | first) - self.destroyed

    def _is_subject(self, row: SealedRow, stream: str) -> bool:
        place = row.position - self.first
        return row.key_class == SUBJECT and self.stored[place].originator_id == stream


def _stamped(event: PreparedEvent, doomed: list[str], version: int) -> dict[str, Any]:
    """What an erasure says of itself: the keys it destroys, and what it covers."""
    stamped: dict[str, Any] = {"key_ids": doomed, "through": version}
    if event.versions is not None:
        stamped["through"] = 0
    if event.entry["schema"] > 1:
        stamped["versions"] = None if event.versions is None else sorted(event.versions)
    return stamped


def stream_text(event: PreparedEvent) -> str:
    """The stream of a prepared event, as `kind/id`."""
    stream = event.entry["stream"]
    return f"{stream['kind']}/{stream['id']}"


def _hold_against(registry: Registry, event: PreparedEvent, raw: bytes) -> None:
    """Check an entry as a verifier will, once it can no longer be changed: what a worker prepared
    is not taken on its word. Nothing of the batch is written when this raises."""
    try:
        entry = entries.decode(raw)
        registry.check(entry)
        if entry["type"] == SCHEMA_REGISTERED:
            registry.learn(entry)
    except EntryError as error:
        raise IntegrityAlarm(f"A worker prepared what is not an entry: {error}") from error
    known = registry.get(entry["type"], entry["schema"])
    recipient = known is not None and known.recipient
    if event.any_hub and not recipient and entry["source"] != entries.SERVICE_CODE:
        raise IntegrityAlarm("A worker prepared an entry for another hub's stream.")
    if event.expires is not None and entry["type"] != ORDER:
        raise IntegrityAlarm("A worker prepared an expiry that nobody ordered.")


def streams_to_look_at(events: Sequence[PreparedEvent]) -> set[str]:
    """Streams whose heads decide: each event's own, and for an access stream what it tells of."""
    streams = {stream_text(event) for event in events}
    for event in events:
        if event.entry["stream"]["kind"] == "access":
            streams |= {f"{kind}/{event.entry['stream']['id']}" for kind in _READ_KINDS}
    return streams


def namesakes(streams: Iterable[str]) -> set[str]:
    """Streams of every kind under the ids of these."""
    ids = {stream.partition("/")[2] for stream in streams}
    return {f"{kind}/{one}" for kind in entries.STREAM_KINDS for one in ids}


def current_key(head: StreamHead | None, key_class: str) -> str | None:
    """Id of the key of a class that a stream is sealed under now."""
    if head is None:
        return None
    return head.subject_key if key_class == SUBJECT else head.attribution_key


def _keys_are_current(head: StreamHead, event: PreparedEvent, destroyed: set[str]) -> bool:
    for key_class, key_id, _ in event.sealed:
        current = current_key(head, key_class)
        if key_id != current and (current is not None or key_id in destroyed):
            return False
    return True
