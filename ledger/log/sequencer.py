"""The sequencer: turns batches of submissions into one durable, signed extension of the log.

Guarantees: a submission is appended whole or not at all; positions are dense and assigned under
the head lock; everything that decides (head, stream heads, duplicates, key ids) is read under that
lock; signing is the last act before COMMIT; nothing is answered before COMMIT and guard have both
returned. If either fails after the transaction was begun, the exception leaves this module and
the process that holds it must exit: the outcome is then found out by (source, id), never guessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.errors import IntegrityAlarm
from ledger.log.clock import Clock
from ledger.log.guard import Guard
from ledger.log.messages import (
    HUB,
    RECHECK,
    VERSION,
    Appended,
    Committed,
    Outcome,
    PreparedEvent,
    Refused,
)
from ledger.log.tree import Tree, node_from_cells
from ledger.store.base import AppendTransaction, Store
from ledger.store.records import (
    ATTRIBUTION,
    SUBJECT,
    Append,
    DestroyedKey,
    Head,
    RecordedEntry,
    SealedRow,
    StreamHead,
)
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.checkpoint import Checkpoint, open_checkpoint
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.merkle import CompactRange, leaf_hash
from ledger_verifier.formats.note import Ed25519Signer, Note

_NO_STREAM: Final = StreamHead(0, b"", "", None, None)
_BEGINNING: Final = "0000-00-00T00:00:00.000Z"


def sign_checkpoint(signer: Ed25519Signer, origin: str, size: int, root: bytes) -> bytes:
    """A checkpoint signed by the log's Ed25519 key."""
    text = Checkpoint(origin, size, root).text
    return Note(text, (signer.sign(text),)).encode()


@dataclass(slots=True)
class _Draft:
    """What a batch will append: built up submission by submission, written once."""

    first: int
    recorded_at: str
    heads: dict[str, StreamHead]
    duplicates: dict[tuple[str, str], int]
    destroyed: set[str]
    changed: dict[str, StreamHead] = field(default_factory=dict)
    stored: list[RecordedEntry] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    sealed: list[SealedRow] = field(default_factory=list)
    keys: list[tuple[str, str, int]] = field(default_factory=list)
    erased: list[DestroyedKey] = field(default_factory=list)

    def add(self, submission: Sequence[PreparedEvent]) -> Refused | int:
        """Draft a whole submission: where it starts in the draft, or why it is refused."""
        refusal = self._check(submission)
        if refusal is not None:
            return refusal
        start = len(self.stored)
        for event in submission:
            self._stamp(event)
        return start

    def _check(self, submission: Sequence[PreparedEvent]) -> Refused | None:
        seen: dict[str, StreamHead] = {}
        ids: set[tuple[str, str]] = set()
        gone = set(self.destroyed)
        for index, event in enumerate(submission):
            stream = _stream_text(event)
            head = seen.get(stream) or self._head(stream)
            key = (event.source, event.entry["id"])
            if key in self.duplicates or key in ids:
                return Refused(RECHECK, index)
            if event.expected_version not in (None, head.version):
                return Refused(VERSION, index, head.version)
            if head.version and head.hub != event.entry["hub"] and not event.any_hub:
                return Refused(HUB, index)
            if not _keys_are_current(head, event, gone):
                return Refused(RECHECK, index)
            ids.add(key)
            if event.erases and head.subject_key is not None:
                gone.add(head.subject_key)
            seen[stream] = self._after(head, event, b"")
        return None

    def _head(self, stream: str) -> StreamHead:
        return self.changed.get(stream) or self.heads.get(stream) or _NO_STREAM

    def _after(self, head: StreamHead, event: PreparedEvent, link: bytes) -> StreamHead:
        keys = {key_class: key_id for key_class, key_id, _ in event.sealed}
        subject = keys.get(SUBJECT, head.subject_key)
        return StreamHead(
            head.version + 1,
            link,
            head.hub if head.version else event.entry["hub"],
            None if event.erases else subject,
            keys.get(ATTRIBUTION, head.attribution_key),
        )

    def _stamp(self, event: PreparedEvent) -> None:
        stream = _stream_text(event)
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
            doomed = [head.subject_key] if head.subject_key is not None else []
            entry["data"] = {**entry["data"], "key_ids": doomed, "through": head.version}
            self.erased += [DestroyedKey(key_id, stream, position) for key_id in doomed]
            self.destroyed.update(doomed)
        raw = entries.canonical(entry)
        if len(raw) > entries.MAX_ENTRY:
            # Workers check sizes with room for what is stamped here; nothing is written.
            raise IntegrityAlarm("A prepared entry is over the size limit of the format.")
        self.changed[stream] = self._after(head, event, entries.link_hash(raw))
        self.stored.append(RecordedEntry(stream, head.version + 1, entry["type"], raw))
        self.leaves.append(leaf_hash(raw))
        self.sealed += [SealedRow(position, c, key_id, raw_) for c, key_id, raw_ in event.sealed]
        self.keys.append((event.source, entry["id"], position))
        self.duplicates[(event.source, entry["id"])] = position


def _stream_text(event: PreparedEvent) -> str:
    stream = event.entry["stream"]
    return f"{stream['kind']}/{stream['id']}"


class Sequencer:
    """The one writer of a log. Not thread-safe."""

    def __init__(
        self, store: Store, signer: Ed25519Signer, origin: str, clock: Clock, guard: Guard | None
    ) -> None:
        self._store, self._signer, self._origin = store, signer, origin
        self._clock, self._guard = clock, guard
        self._tree = Tree(0, (), store.cells)

    def check_start(self, *, accept_clock: bool = False) -> Head:
        """Refuse to serve a log that is not the one this machine last vouched for.

        Raises IntegrityAlarm when the head is missing, badly signed, contradicts its own edge, is
        behind the guard, or has another root at the guard's size; or when the clock is wrong.
        """
        head = self._store.head()
        if head is None:
            raise IntegrityAlarm("The event store holds no log. Create one with: hub-ledger init")
        self._check_head(head)
        if self._guard is not None:
            self._check_guard(self._guard, head)
        self._clock.check_start(head.recorded_at, accept_clock)
        self._clock.check_database(self._store.now())
        return head

    def _check_head(self, head: Head) -> None:
        try:
            opened = open_checkpoint(head.checkpoint, [self._signer.key]).checkpoint
            rebuilt = CompactRange(head.size, head.edge).root()
        except FormatError as error:
            raise IntegrityAlarm(f"The stored head does not verify: {error}") from error
        signed = (opened.origin, opened.size, opened.root)
        if signed != (self._origin, head.size, head.root) or rebuilt != head.root:
            raise IntegrityAlarm("The stored head is not what its checkpoint signs.")

    def _check_guard(self, guard: Guard, head: Head) -> None:
        try:
            known = open_checkpoint(guard.checkpoint, [self._signer.key]).checkpoint
        except FormatError as error:
            raise IntegrityAlarm(f"The guard's checkpoint does not verify: {error}") from error
        if known.size > head.size:
            raise IntegrityAlarm(
                f"The event store holds {head.size} entries, but this machine has vouched for "
                f"{known.size}. It has lost entries or is an old copy. Do not serve it: bring back "
                "the newer store."
            )
        if root_at(self._store, known.size) != known.root:
            raise IntegrityAlarm(
                f"The event store has another root at size {known.size} than this machine has "
                "vouched for. It has been altered: run hub-ledger fsck."
            )

    def append(self, batch: Sequence[Sequence[PreparedEvent]]) -> list[Outcome]:
        """Append submissions in order in one transaction; one outcome for each.

        Any exception means that the outcome is unknown and this sequencer must not be used again.
        """
        with self._store.append() as transaction:
            # A crash here, or anywhere before COMMIT, leaves the log as it was.
            tree = self._tree_at(transaction.head)
            draft = self._draft(transaction, batch)
            starts = [draft.add(submission) for submission in batch]
            checkpoint = b""
            if draft.stored:
                cells = tree.extend(draft.leaves)
                root = tree.root()
                checkpoint = sign_checkpoint(self._signer, self._origin, tree.size, root)
                head = Head(tree.size, root, tree.edge, checkpoint, draft.recorded_at)
                transaction.write(_append_of(draft, cells, head, self._store))
        # A crash here loses the answers, not the entries: retries find them by (source, id).
        if draft.stored and self._guard is not None:
            self._guard.write(checkpoint)
        # From here on the checkpoint may be shown.
        return [
            start if isinstance(start, Refused) else self._committed(draft, start, sub, checkpoint)
            for start, sub in zip(starts, batch, strict=True)
        ]

    def _tree_at(self, head: Head | None) -> Tree:
        """The tree of this head; what is cached is dropped when another writer has moved it."""
        size, edge = (0, ()) if head is None else (head.size, head.edge)
        if self._tree.size != size or self._tree.edge != edge:
            self._tree = Tree(size, edge, self._store.cells)
        return self._tree

    def _draft(
        self, transaction: AppendTransaction, batch: Sequence[Sequence[PreparedEvent]]
    ) -> _Draft:
        events = [event for submission in batch for event in submission]
        head = transaction.head
        heads = transaction.stream_heads({_stream_text(event) for event in events})
        duplicates = transaction.find_duplicates([(e.source, e.entry["id"]) for e in events])
        unseen = {
            key_id
            for event in events
            for key_class, key_id, _ in event.sealed
            if _current_key(heads.get(_stream_text(event)), key_class) != key_id
        }
        return _Draft(
            first=0 if head is None else head.size,
            recorded_at=self._clock.stamp(_BEGINNING if head is None else head.recorded_at),
            heads=heads,
            duplicates=duplicates,
            destroyed=transaction.destroyed(unseen),
        )

    def _committed(
        self, draft: _Draft, start: int, submission: Sequence[PreparedEvent], checkpoint: bytes
    ) -> Committed:
        done = tuple(
            Appended(
                draft.first + place,
                draft.leaves[place],
                draft.stored[place].originator_version,
                draft.recorded_at,
                tuple(self._tree.prove(draft.first + place)),
            )
            for place in range(start, start + len(submission))
        )
        return Committed(checkpoint, done)


def _keys_are_current(head: StreamHead, event: PreparedEvent, destroyed: set[str]) -> bool:
    for key_class, key_id, _ in event.sealed:
        current = _current_key(head, key_class)
        if key_id != current and (current is not None or key_id in destroyed):
            return False
    return True


def _current_key(head: StreamHead | None, key_class: str) -> str | None:
    if head is None:
        return None
    return head.subject_key if key_class == SUBJECT else head.attribution_key


def _append_of(
    draft: _Draft, cells: list[tuple[int, int, bytes]], head: Head, store: Store
) -> Append:
    return Append(
        head=head,
        first_position=draft.first,
        entries=[store.mapper.to_stored_event(entry) for entry in draft.stored],
        cells=cells,
        sealed=draft.sealed,
        duplicates=draft.keys,
        stream_heads=draft.changed,
        destroyed=draft.erased,
    )


def root_at(store: Store, size: int) -> bytes:
    """Root of the first `size` entries, from stored cells; raises IntegrityAlarm when cells that
    this needs are missing."""
    hashes, start = [], 0
    try:
        while start < size:
            height = (size - start).bit_length() - 1
            hashes.append(node_from_cells(store.cells, height, start >> height))
            start += 1 << height
        return CompactRange(size, hashes).root()
    except FormatError as error:
        raise IntegrityAlarm(f"Cells of the tree are missing below size {size}.") from error
