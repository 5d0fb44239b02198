"""Expiries of a tail, carried out on what the backup still holds.

Guarantees: what the backup holds of a stream that has expired since is removed as the expiry itself
removed it (`ledger.store.expiry.expire`): entries, sealed rows, ids and head, with tombstones in
their place, under the key that those of the log are under. A stream of which the log says that a
part has expired is refused: streams expire whole. Of what came and went between the backup and the
end of the tail nothing but positions is known: it gets tombstones that no event is told by. Nor are
all its keys: where those that are known are not the ones that the entry commits to, which they are
is noted under the log's signature.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import orjson

from ledger.errors import IntegrityAlarm
from ledger.log.restored import sign_expiry
from ledger.store.erased import select_erased_keys
from ledger.store.expiry import (
    expire,
    expiry_state,
    insert_blank_tombstones,
    note_restored,
    positions_of,
    select_gone,
    true_sources,
)
from ledger.store.records import EVENTS_TABLE, Doomed, DoomedId, Expiry, ExpiryPlan, StreamHead
from ledger.store.rows import (
    Rows,
    chunks,
    find_duplicates,
    id_text,
    key_column,
    select_stream_heads,
)
from ledger.tombstones import mark_of_id, mark_of_stream
from ledger_verifier.formats.note import Ed25519Signer
from ledger_verifier.meaning.expiry import STREAM_EXPIRED, Span, keys_sha256, spans_of


@dataclass(frozen=True, slots=True)
class KeysOfExpired:
    """What is asked of the key store: the key of tombstones, of that id or, for None, the one there
    is or a new one; the ids of the keys of streams; and, with IntegrityAlarm, that keys are of none
    but these streams."""

    tombstones: Callable[[str | None], tuple[str, bytes]]
    ids_of: Callable[[Sequence[str]], dict[str, list[str]]]
    check_own: Callable[[Collection[str], Collection[str]], None]


@dataclass(frozen=True, slots=True)
class _Said:
    """One `stream.expired` of the tail."""

    position: int
    order: int
    spans: tuple[Span, ...]
    keys_sha256: str


class Expired:
    """What a tail says has expired: learned as its entries pass, carried out after the last."""

    def __init__(self, rows: Rows, position_sql: str, size: int) -> None:
        """`size` is the backup's."""
        self._rows, self._position, self._size = rows, position_sql, size
        self._said: list[_Said] = []

    def learn(self, first: int, group: Sequence[bytes]) -> None:
        """Take in entries of the tail, which the verifier has accepted."""
        for position, raw in enumerate(group, first):
            entry: dict[str, Any] = orjson.loads(raw) if raw else {}
            if entry.get("type") == STREAM_EXPIRED:
                data = entry["data"]
                spans, digest = tuple(spans_of(data)), data["keys_sha256"]
                self._said.append(_Said(position, data["order"], spans, digest))

    def carry_out(self, keys: KeysOfExpired, signer: Ed25519Signer) -> None:
        """Remove what has expired, order by order as it was, and sign which keys are known to have
        gone with it where they are not all known; raises IntegrityAlarm when it cannot be what it
        was."""
        if not self._said:
            return
        key_id, key = keys.tombstones(expiry_state(self._rows)[1])
        for _, group in groupby(self._said, key=lambda said: said.order):
            said = [(one.position, one.spans) for one in group]
            spans = [span for _, some in said for span in some]
            ids = self._held(spans)
            plan = ExpiryPlan(self._size, key_id, tuple(self._doomed(ids, key, keys)))
            expire(self._rows, self._position, Expiry(plan, tuple(said)))
            gone = [p for first, last in spans for p in range(first, last + 1)]
            blank = [mark_of_id(key, "", str(p)) for p in gone if p not in ids]
            insert_blank_tombstones(self._rows, blank)
        known = select_gone(self._rows)
        for one in self._said:
            digest = keys_sha256(known.get(one.position, ()))
            if digest != one.keys_sha256:
                signature = sign_expiry(signer, one.position, digest)
                note_restored(self._rows, one.position, signature)

    def _held(self, spans: Sequence[Span]) -> dict[int, tuple[str, str]]:
        """Stream and id of each entry in these spans that the backup holds, by position."""
        found: dict[int, tuple[str, str]] = {}
        key = key_column(self._position)
        for first, last in (span for span in spans if span[0] < self._size):
            self._rows.execute(
                f"SELECT {self._position}, originator_id, state FROM {EVENTS_TABLE}"
                f" WHERE {key} > ? AND {key} <= ?",
                (first, min(last, self._size - 1) + 1),
            )
            for position, stream, state in self._rows.fetchall():
                found[int(position)] = (stream, orjson.loads(bytes(state))["id"])
        return found

    def _doomed(
        self, ids: dict[int, tuple[str, str]], key: bytes, keys: KeysOfExpired
    ) -> Iterator[Doomed]:
        """The streams of these entries, each whole."""
        streams = sorted({stream for stream, _ in ids.values()})
        heads = select_stream_heads(self._rows, streams)
        held = positions_of(self._rows, self._position, streams)
        for stream, positions in held.items():
            if stream not in heads or not ids.keys() >= set(positions):
                raise IntegrityAlarm(
                    "The log says of a part of a stream alone that it has expired, and streams "
                    f"expire whole: see entry {positions[0]}. Use another backup or copy of the "
                    "log, and compare both with a checkpoint that an auditor holds."
                )
        named = self._true_ids(ids)
        in_store, erased = keys.ids_of(streams), select_erased_keys(self._rows, streams)
        for stream in streams:
            head = heads[stream]
            entries = [DoomedId(*named[p], p, mark_of_id(key, *named[p])) for p in held[stream]]
            known = self._keys_of(head, held[stream]) | erased.get(stream, set())
            keys.check_own(known, [stream])
            key_ids = {*in_store.get(stream, ()), *known}
            yield Doomed(
                stream,
                head.version,
                head.hub,
                head.organisation,
                mark_of_stream(key, stream),
                tuple(entries),
                tuple(sorted(key_ids)),
            )

    def _true_ids(self, ids: dict[int, tuple[str, str]]) -> dict[int, tuple[str, str]]:
        """Source and id that each entry was recorded under. A recipient's entry does not tell its
        source."""
        sources = true_sources(self._rows)
        found: dict[int, tuple[str, str]] = {}
        for chunk in chunks(sorted(ids)):
            keys = [(source, ids[position][1]) for position in chunk for source in sources]
            for one, position in find_duplicates(self._rows, keys).items():
                if position in ids and ids[position][1] == one[1]:
                    found[position] = one
        if found.keys() != ids.keys():
            missing = min(ids.keys() - found.keys())
            raise IntegrityAlarm(
                f"The backup's table of ids does not lead to entry {missing}. Use another backup."
            )
        return found

    def _keys_of(self, head: StreamHead, positions: Sequence[int]) -> set[str]:
        """Ids of the keys that what the backup holds of a stream is under."""
        found = {head.subject_key, head.attribution_key}
        for chunk in chunks(positions):
            marks = ",".join("?" * len(chunk))
            self._rows.execute(
                f"SELECT DISTINCT key_id FROM sealed WHERE position IN ({marks})", list(chunk)
            )
            found.update(id_text(row[0]) for row in self._rows.fetchall())
        return {one for one in found if one is not None}
