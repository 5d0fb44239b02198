"""The tail of a log: what came after a backup, taken from a log bundle and put after it.

Guarantees: the whole bundle is verified by the verifier's own engine first, and every checkpoint
known is of it. What is appended are its entries, byte for byte, in their places, with the columns
and tables that follow from them; its erasures delete sealed rows as they did then. What was sealed
in the tail is in no bundle: it is noted as lost, and nothing but that is. Entries of the tail that
have expired have no bytes: their leaf hashes are those of the tail's own tiles, which the root
proves, and what the expiries removed of the backup's entries is removed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.backup.expired import Expired, KeysOfExpired
from ledger.errors import ConfigurationError, IntegrityAlarm
from ledger.log.restored import sign_loss
from ledger.log.tree import Tree
from ledger.store import Store
from ledger.store.base import AppendTransaction
from ledger.store.erased import select_subject_positions
from ledger.store.lost import note_lost, select_declared
from ledger.store.records import (
    ATTRIBUTION,
    ERASURE,
    EVENTS_TABLE,
    SUBJECT,
    Append,
    DestroyedKey,
    ErasedPart,
    Head,
    RecordedEntry,
    StreamHead,
)
from ledger.store.rows import Rows
from ledger_verifier.audit.engine import Options, verify_log
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.audit.trust import Trusted, accept
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.errors import BundleError, FormatError
from ledger_verifier.formats.merkle import HASH_SIZE, leaf_hash
from ledger_verifier.formats.note import Ed25519Signer
from ledger_verifier.formats.policy import Policy
from ledger_verifier.formats.tiles import TILE_WIDTH, Tile
from ledger_verifier.meaning.schemas import ATTRIBUTION as ATTRIBUTION_CLASS
from ledger_verifier.meaning.schemas import RESERVED_TYPES, SCHEMA_REGISTERED, Lost, Registry

_NO_STREAM: Final = StreamHead(0, b"", "", "", None, None)


class Tail:
    """An open log bundle and the checkpoint that it is of."""

    def __init__(self, reader: BundleLogReader, trusted: Trusted) -> None:
        self._reader, self.trusted = reader, trusted

    @property
    def size(self) -> int:
        return self.trusted.size

    def verify(self, policy: Policy, known: Sequence[Trusted]) -> None:
        """Run the verifier over all of it; raises IntegrityAlarm."""
        earlier = [one for one in known if one.size <= self.size]
        options = Options(subject="log bundle", every_log_key=True, strays=self._reader.strays)
        report = verify_log(self._reader, policy, earlier=earlier, options=options)
        if report.verdict in (Verdict.FAILED, Verdict.UNVERIFIABLE):
            reasons = [failure.reason for failure in report.failures] or list(report.lacking)
            raise IntegrityAlarm(
                f"The log bundle does not verify: {reasons[0]}. Check it with ledger-verify "
                "bundle, and use another copy of the log."
            )

    def entries_from(self, start: int) -> Iterator[tuple[int, list[bytes]]]:
        """Groups of entries from a position to the end, with the position of each group's first."""
        for index in range(start // TILE_WIDTH, -(-self.size // TILE_WIDTH)):
            first = index * TILE_WIDTH
            width = min(TILE_WIDTH, self.size - first)
            skipped = max(0, start - first)
            yield first + skipped, self._reader.entries(Tile(None, index, width))[skipped:]

    def leaves(self, first: int, group: Sequence[bytes]) -> list[bytes]:
        """Leaf hashes of a group that `entries_from` gave; where an entry has no bytes, the one
        that the hash tile has."""
        leaves = [leaf_hash(raw) for raw in group]
        if not all(group):
            start = first - first % TILE_WIDTH
            width = min(TILE_WIDTH, self.size - start)
            tile = self._reader.tile(Tile(0, first // TILE_WIDTH, width))
            for place, raw in enumerate(group):
                if not raw:
                    at = (first - start + place) * HASH_SIZE
                    leaves[place] = tile[at : at + HASH_SIZE]
        return leaves


@contextmanager
def open_tail(path: Path, policy: Policy) -> Iterator[Tail]:
    """A log bundle; raises ConfigurationError when it is none, IntegrityAlarm when it is of another
    log."""
    with path.open("rb") as file:
        try:
            bundle = BundleReader(file)
            if not BundleLogReader.reads(bundle):
                raise ConfigurationError(
                    f"{path} is a bundle of one case: --tail takes one of a whole log."
                )
            reader = BundleLogReader(bundle)
            trusted = accept(reader.checkpoint(), policy, f"the checkpoint of {path}")
        except BundleError as error:
            raise ConfigurationError(f"{path} is not a log bundle: {error}.") from error
        except FormatError as error:
            raise IntegrityAlarm(f"{path} is not a bundle of this log: {error}.") from error
        yield Tail(reader, trusted)


def append_tail(
    rows: Rows,
    store: Store,
    head: Head,
    tail: Tail,
    checkpoint: bytes,
    keys: KeysOfExpired,
    signer: Ed25519Signer,
) -> Head:
    """Put the entries after `head` into the store, carry out what they say has expired, and note,
    signed, what was lost with them; returns the head they lead to, signed by `checkpoint`. Raises
    IntegrityAlarm when that is not the tree that the bundle's checkpoint signs."""
    transaction = AppendTransaction(rows, head, store)
    tree = Tree(head.size, head.edge, store.cells)
    missing = _Missing(rows, store.position_sql, head.size, tail.size)
    expired = Expired(rows, store.position_sql, head.size)
    for first, group in tail.entries_from(head.size):
        missing.learn(first, group)
        expired.learn(first, group)
        for start, there in _stretches(first, group):
            append = _append_of(transaction, store, start, there, head)
            transaction.write(append)
            head = append.head
        cells = tree.extend(tail.leaves(first, group))
        head = replace(
            head, size=tree.size, root=tree.root(), edge=tree.edge, checkpoint=checkpoint
        )
        transaction.write(Append(head, tree.size, cells=cells))
    if (head.size, head.root) != (tail.size, tail.trusted.root):
        raise IntegrityAlarm(
            "The log bundle does not continue the backup: they are of different histories. Compare "
            "both with a checkpoint that an auditor holds."
        )
    expired.carry_out(keys, signer)
    for lost in missing.losses():
        note_lost(rows, sign_loss(signer, lost))
    _publish(rows, tail.trusted, head)
    return head


def _stretches(first: int, group: Sequence[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """The entries of a group that have bytes, as far as they are next to each other, with the
    position of the first."""
    position = first
    for there, some in groupby(group, bool):
        stretch = list(some)
        if there:
            yield position, stretch
        position += len(stretch)


def _append_of(
    transaction: AppendTransaction, store: Store, first: int, group: Sequence[bytes], head: Head
) -> Append:
    """Everything that follows from some entries, but for the tree."""
    decoded = [entries.decode(raw) for raw in group]
    streams = [f"{entry['stream']['kind']}/{entry['stream']['id']}" for entry in decoded]
    heads = transaction.stream_heads(streams)
    append = Append(replace(head, recorded_at=decoded[-1]["recorded_at"]), first)
    for position, (raw, entry, stream) in enumerate(
        zip(group, decoded, streams, strict=True), first
    ):
        before, version = heads.get(stream, _NO_STREAM), entry["stream"]["version"]
        recorded = RecordedEntry(stream, version, entry["type"], raw)
        append.entries.append(store.mapper.to_stored_event(recorded))
        # A recipient's true source is lost with what was sealed: its category stands for it.
        append.duplicates.append((entry["source"], entry["id"], position))
        erases = entry["type"] == ERASURE
        heads[stream] = StreamHead(
            version,
            entries.link_hash(raw),
            before.hub if before.version else entry["hub"],
            before.organisation if before.version else entry["organisation"],
            None if erases else before.subject_key,
            before.attribution_key,
        )
        append.stream_heads[stream] = heads[stream]
        if erases:
            append.destroyed += [
                DestroyedKey(key_id, stream, position) for key_id in entry["data"]["key_ids"]
            ]
    return append


class _Missing:
    """What was sealed in the tail and is neither erased nor declared lost by now."""

    def __init__(self, rows: Rows, position_sql: str, backup_size: int, log_size: int) -> None:
        self._rows, self._position, self._sizes = rows, position_sql, (backup_size, log_size)
        self._registry = Registry()
        self._sealed: dict[str, list[tuple[int, str, int]]] = {SUBJECT: [], ATTRIBUTION: []}
        self._erased: dict[str, ErasedPart] = {}
        self._resealed: list[tuple[int, str, int]] = []
        rows.execute(
            f"SELECT state FROM {EVENTS_TABLE} WHERE topic = ?",
            (SCHEMA_REGISTERED,),
        )
        for row in rows.fetchall():
            self._registry.learn(entries.decode(bytes(row[0])))

    def learn(self, first: int, group: Sequence[bytes]) -> None:
        """Take in entries of the tail, before they are put after the backup."""
        for position, raw in enumerate(group, first):
            if not raw:
                continue
            entry: dict[str, Any] = orjson.loads(raw)
            stream = f"{entry['stream']['kind']}/{entry['stream']['id']}"
            if entry["type"] == SCHEMA_REGISTERED:
                self._registry.learn(entry)
            if entry["type"] in RESERVED_TYPES:
                continue
            if entry["type"] == ERASURE:
                self._learn_erasure(stream, entry["data"])
            registration = self._registry.get(entry["type"], entry["schema"])
            classes = set() if registration is None else set(registration.sealed.values())
            place = (position, stream, entry["stream"]["version"])
            if classes - {ATTRIBUTION_CLASS}:
                self._sealed[SUBJECT].append(place)
            if ATTRIBUTION_CLASS in classes:
                self._sealed[ATTRIBUTION].append(place)

    def _learn_erasure(self, stream: str, data: Mapping[str, Any]) -> None:
        """What an erasure covers; and what one of some entries kept, which was sealed anew then:
        the backup has it as it was before, under the key that was destroyed."""
        known = self._erased.get(stream, ErasedPart())
        versions = data.get("versions")
        self._erased[stream] = ErasedPart(
            max(known.through, data["through"]), known.versions | frozenset(versions or ())
        )
        if versions is not None:
            stored = select_subject_positions(self._rows, self._position, stream)
            self._resealed += [(position, stream, at) for position, at in stored.items()]

    def _is_erased(self, stream: str, version: int) -> bool:
        return self._erased.get(stream, ErasedPart()).covers(version)

    def losses(self) -> Iterator[Lost]:
        """What has to be declared: one range for each class of key, and one for each entry of the
        backup that was sealed anew since. Between those there may be others, which are not lost."""
        declared = [lost for _, lost in select_declared(self._rows)]
        for key_class, sealed in self._sealed.items():
            positions = [
                position
                for position, stream, version in sealed
                if not (key_class == SUBJECT and self._is_erased(stream, version))
                and not any(
                    lost.key_class == key_class and lost.first <= position <= lost.last
                    for lost in declared
                )
            ]
            if positions:
                yield Lost(key_class, positions[0], positions[-1], len(positions), *self._sizes)
        for position, stream, version in sorted(set(self._resealed)):
            if position < self._sizes[0] and not self._is_erased(stream, version):
                yield Lost(SUBJECT, position, position, 1, *self._sizes)


def _publish(rows: Rows, trusted: Trusted, head: Head) -> None:
    """Keep the bundle's checkpoint, which was published, among the published ones."""
    rows.execute("SELECT seq, size, published_at FROM publications ORDER BY seq DESC LIMIT 1")
    row = rows.fetchone()
    seq, size, last = (0, 0, "") if row is None else (int(row[0]), int(row[1]), str(row[2]))
    if size >= trusted.size:
        return
    own = [key for key in trusted.opened.signers if key.name == trusted.origin]
    seconds = max(trusted.opened.timestamps[key] or 0 for key in own)
    signed = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    # It is kept to the second alone: it was not before its last entry, nor before the last one.
    rows.execute(
        "INSERT INTO publications (seq, size, checkpoint, published_at) VALUES (?, ?, ?, ?)",
        (seq + 1, trusted.size, trusted.raw, max(signed, head.recorded_at, last)),
    )
