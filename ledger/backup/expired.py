"""Expiries of a tail, carried out on what the backup still holds.

Guarantees: what the backup holds of a stream that has expired since is removed as the expiry itself
removed it (`ledger.store.expiry.expire`): entries, sealed rows, ids and head, with tombstones in
their place, under the key that those of the log are under. A stream of which the log says that a
part has expired is refused: streams expire whole. Of what came and went between the backup and the
end of the tail nothing but positions is known: it gets tombstones that no event is told by.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ledger.errors import IntegrityAlarm
from ledger.store.expiry import (
    expire,
    expiry_state,
    insert_blank_tombstones,
    positions_of,
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
from ledger_verifier.meaning.expiry import STREAM_EXPIRED, Span, spans_of


@dataclass(frozen=True, slots=True)
class KeysOfExpired:
    """What is asked of the key store: the key of tombstones, of that id or, for None, the one there
    is or a new one; and the ids of the keys of streams."""

    tombstones: Callable[[str | None], tuple[str, bytes]]
    ids_of: Callable[[Sequence[str]], dict[str, list[str]]]


class Expired:
    """What a tail says has expired: learned as its entries pass, carried out after the last."""

    def __init__(self, rows: Rows, position_sql: str, size: int) -> None:
        """`size` is the backup's."""
        self._rows, self._position, self._size = rows, position_sql, size
        self._spans: list[tuple[int, tuple[Span, ...]]] = []

    def learn(self, first: int, group: Sequence[bytes]) -> None:
        """Take in entries of the tail, which the verifier has accepted."""
        for position, raw in enumerate(group, first):
            entry: dict[str, Any] = orjson.loads(raw) if raw else {}
            if entry.get("type") == STREAM_EXPIRED:
                self._spans.append((position, tuple(spans_of(entry["data"]))))

    def carry_out(self, keys: KeysOfExpired) -> None:
        """Remove what has expired; raises IntegrityAlarm when that cannot be what it was."""
        if not self._spans:
            return
        key_id, key = keys.tombstones(expiry_state(self._rows)[1])
        ids = self._held()
        doomed = self._doomed(ids, key, keys)
        plan = ExpiryPlan(self._size, key_id, tuple(doomed))
        expire(self._rows, self._position, Expiry(plan, tuple(self._spans)))
        blank = [mark_of_id(key, "", str(p)) for p in self._positions() if p not in ids]
        insert_blank_tombstones(self._rows, blank)

    def _positions(self) -> Iterator[int]:
        for _, spans in self._spans:
            for first, last in spans:
                yield from range(first, last + 1)

    def _held(self) -> dict[int, tuple[str, str]]:
        """Stream and id of each entry that has expired and the backup holds, by position."""
        found: dict[int, tuple[str, str]] = {}
        key = key_column(self._position)
        for _, spans in self._spans:
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
        in_store = keys.ids_of(streams)
        for stream in streams:
            head = heads[stream]
            entries = [DoomedId(*named[p], p, mark_of_id(key, *named[p])) for p in held[stream]]
            key_ids = {*in_store.get(stream, ()), *self._keys_of(head, held[stream])}
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
