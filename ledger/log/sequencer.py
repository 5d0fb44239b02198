"""The sequencer: turns batches of submissions into one durable, signed extension of the log.

Guarantees: a submission is appended whole or not at all; positions are dense and assigned under
the head lock; everything that decides (head, stream heads, duplicates, key ids) is read under that
lock; signing is the last act before COMMIT; nothing is answered before COMMIT and guard have both
returned. If either fails after the transaction was begun, the exception leaves this module and
the process that holds it must exit: the outcome is then found out by (source, id), never guessed.
"""

from collections.abc import Sequence
from typing import Final

from ledger.errors import IntegrityAlarm
from ledger.log.clock import Clock
from ledger.log.draft import Draft, current_key, namesakes, stream_text, streams_to_look_at
from ledger.log.guard import Guard
from ledger.log.messages import (
    Appended,
    Committed,
    Outcome,
    PreparedEvent,
    Refused,
)
from ledger.log.tree import Tree, node_from_cells
from ledger.store.base import AppendTransaction, Store
from ledger.store.records import Append, Head
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.certificate import FORMAT as CERTIFICATE_FORMAT
from ledger_verifier.formats.checkpoint import Checkpoint, open_checkpoint
from ledger_verifier.formats.cover import FORMAT as COVER_FORMAT
from ledger_verifier.formats.errors import EntryError, FormatError
from ledger_verifier.formats.merkle import CompactRange
from ledger_verifier.formats.note import Ed25519Signer, Note
from ledger_verifier.meaning.schemas import SCHEMA_REGISTERED, Registry

#: First lines of what the log signs besides checkpoints.
STATEMENTS: Final = frozenset({COVER_FORMAT, CERTIFICATE_FORMAT})
_BEGINNING: Final = "0000-00-00T00:00:00.000Z"


def sign_checkpoint(signer: Ed25519Signer, origin: str, size: int, root: bytes) -> bytes:
    """A checkpoint signed by the log's Ed25519 key."""
    text = Checkpoint(origin, size, root).text
    return Note(text, (signer.sign(text),)).encode()


class Sequencer:
    """The one writer of a log. Not thread-safe."""

    def __init__(
        self, store: Store, signer: Ed25519Signer, origin: str, clock: Clock, guard: Guard | None
    ) -> None:
        self._store, self._signer, self._origin = store, signer, origin
        self._clock, self._guard = clock, guard
        self._tree = Tree(0, (), store.cells)
        self._left: Head | None = None
        self._registry = Registry()

    def check_start(self, *, accept_clock: bool = False) -> Head:
        """Refuse to serve a log that is not the one this machine last vouched for.

        Raises IntegrityAlarm when the head is missing, badly signed, contradicts its own edge, is
        behind the guard, or has another root at the guard's size; or when the clock is wrong.
        A guard that is behind, because a crash came between COMMIT and guard or because another
        replica went on meanwhile, is taken forward before the head may be shown.
        """
        head = self._store.head()
        if head is None:
            raise IntegrityAlarm("The event store holds no log. Create one with: hub-ledger init")
        self._check_head(head)
        self._registry = registry_of(self._store)
        with self._store.append() as transaction:
            self._check_stamp(head, transaction.last_stamp(head.size))
        if self._guard is not None:
            self._check_guard(self._guard, head)
        self._clock.check_start(head.recorded_at, accept_clock)
        self._clock.check_database(self._store.now())
        if self._guard is not None:
            self._guard.advance(head.size, head.checkpoint)
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
            tree = self._tree_at(transaction)
            draft = self._draft(transaction, batch)
            starts = [draft.add(submission) for submission in batch]
            checkpoint = b""
            if draft.stored:
                cells = tree.extend(draft.leaves)
                root = tree.root()
                checkpoint = sign_checkpoint(self._signer, self._origin, tree.size, root)
                head = Head(tree.size, root, tree.edge, checkpoint, draft.recorded_at)
                transaction.write(_append_of(draft, cells, head, self._store))
                self._left = head
        # A crash here loses the answers, not the entries: retries find them by (source, id).
        if self._guard is not None:
            if draft.stored:
                self._guard.write(checkpoint)
            elif transaction.head is not None:
                # What somebody else committed may be shown next.
                self._guard.advance(transaction.head.size, transaction.head.checkpoint)
        # From here on the checkpoint may be shown.
        return [
            start if isinstance(start, Refused) else self._committed(draft, start, sub, checkpoint)
            for start, sub in zip(starts, batch, strict=True)
        ]

    def sign_statement(self, text: str) -> bytes:
        """A signed note of a statement that the log makes about itself, such as the cover of a
        pack. Its first line tells it from a checkpoint, whose first line is the origin; its second
        is the origin. Raises IntegrityAlarm for any other text."""
        lines = text.split("\n")
        if lines[0] not in STATEMENTS or lines[1:2] != [self._origin]:
            raise IntegrityAlarm("A worker asked to have signed what is no statement of this log.")
        return Note(text, (self._signer.sign(text),)).encode()

    def _tree_at(self, transaction: AppendTransaction) -> Tree:
        """The tree of the head. A head that this process did not leave is looked at again, as at
        start: another replica may have moved it, and so may somebody with the database."""
        head = transaction.head
        if head is not None and head != self._left:
            self._check_head(head)
            self._check_stamp(head, transaction.last_stamp(head.size))
        size, edge = (0, ()) if head is None else (head.size, head.edge)
        if self._tree.size != size or self._tree.edge != edge:
            self._tree = Tree(size, edge, self._store.cells)
        return self._tree

    def _check_stamp(self, head: Head, stamp: str) -> None:
        if head.recorded_at != stamp:
            raise IntegrityAlarm(
                "The stored head does not carry the time of the last entry: it has been altered."
            )

    def _draft(
        self, transaction: AppendTransaction, batch: Sequence[Sequence[PreparedEvent]]
    ) -> Draft:
        events = [event for submission in batch for event in submission]
        head = transaction.head
        ledger = self._ledger() if any(event.expires for event in events) else ""
        streams = streams_to_look_at(events) | ({f"ledger/{ledger}"} if ledger else set())
        heads = transaction.stream_heads(streams)
        # What else is under the id of a stream that begins.
        heads |= transaction.stream_heads(namesakes(streams - heads.keys()))
        duplicates = transaction.find_duplicates([(e.source, e.entry["id"]) for e in events])
        unseen = {
            key_id
            for event in events
            for key_class, key_id, _ in event.sealed
            if current_key(heads.get(stream_text(event)), key_class) != key_id
        }
        return Draft(
            first=0 if head is None else head.size,
            recorded_at=self._clock.stamp(_BEGINNING if head is None else head.recorded_at),
            heads=heads,
            duplicates=duplicates,
            destroyed=transaction.destroyed(unseen),
            stored_keys=transaction.subject_keys,
            stored_positions=transaction.subject_positions,
            registry=self._registry,
            expiry=transaction.expiry,
            through=transaction.expiry.through(),
            ledger=ledger,
        )

    def _ledger(self) -> str:
        """Id of the stream of entry 0."""
        first = self._store.entry(0)
        if first is None:
            raise IntegrityAlarm("The log has no entry 0: run hub-ledger fsck.")
        return str(entries.decode(first)["stream"]["id"])

    def _committed(
        self, draft: Draft, start: int, submission: Sequence[PreparedEvent], checkpoint: bytes
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


def _append_of(
    draft: Draft, cells: list[tuple[int, int, bytes]], head: Head, store: Store
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
        resealed=draft.resealed,
        expiries=draft.expiries,
    )


def registry_of(store: Store) -> Registry:
    """The registrations in a stored log; raises IntegrityAlarm when one cannot be read."""
    registry, start = Registry(), 0
    try:
        while found := store.entries(start, 1000, [SCHEMA_REGISTERED]):
            for stored in found:
                registry.learn(entries.decode(stored.raw))
            start = found[-1].position + 1
    except EntryError as error:
        raise IntegrityAlarm(f"A stored registration is not one: {error}") from error
    return registry


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
