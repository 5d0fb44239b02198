"""What an expiry removes from the event store, and what it leaves so that nothing comes back.

Guarantees: `expire` runs inside an append, so that the entry that says so and the removal are one
transaction. Of a stream that expired the store keeps which positions it had (in one set with those
of every other stream that expired with it, as the log has them), tombstones and, for good, the ids
of all its keys, those that erasures destroyed before among them: an older copy of the key store may
hold them. A tombstone is a keyed hash: without the key, which is in the key store, it tells neither
the stream nor the event.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from ledger.store.records import EVENTS_TABLE, Doomed, Expiry
from ledger.store.rows import Rows, chunks, find_duplicates, id_bytes, id_text, key_column

#: Bytes of a tombstone: an HMAC-SHA256, cut.
MARK_BYTES: Final = 16
#: The stream of a key whose stream expired.
NO_STREAM: Final = ""
#: In the place of an organisation, beside no hub: a tombstone that no event is told by.
BLANK: Final = ""


def expiry_statements(blob: str, integer: str) -> list[str]:
    """The tables of expiry, for a database with these column types."""
    return [
        f"CREATE TABLE expiry_state (one {integer} PRIMARY KEY CHECK (one = 1),"
        f" through {integer} NOT NULL, key_id {blob} NOT NULL)",
        f"CREATE TABLE expired (first {integer} PRIMARY KEY, last {integer} NOT NULL,"
        f" position {integer} NOT NULL)",
        f"CREATE TABLE tombstones (mark {blob} PRIMARY KEY, hub TEXT, organisation TEXT)",
        f"CREATE TABLE restored_expiries (position {integer} PRIMARY KEY,"
        f" signature {blob} NOT NULL)",
    ]


def expire(rows: Rows, position_sql: str, expiry: Expiry) -> None:
    """Remove what expires and leave tombstones."""
    plan, key = expiry.plan, key_column(position_sql)
    for chunk in chunks(plan.positions):
        marks = ",".join("?" * len(chunk))
        rows.execute(f"DELETE FROM sealed WHERE position IN ({marks})", list(chunk))
        rows.execute(f"DELETE FROM {EVENTS_TABLE} WHERE {key} IN ({marks})", [p + 1 for p in chunk])
    ids = [entry for one in plan.doomed for entry in one.entries]
    rows.executemany(
        "DELETE FROM duplicates WHERE source = ? AND id = ?",
        [(entry.source, id_bytes(entry.id)) for entry in ids],
    )
    streams = [(one.stream,) for one in plan.doomed]
    rows.executemany("DELETE FROM stream_heads WHERE stream = ?", streams)
    # What erasures named stays named, without the stream: an older copy of the key store may still
    # hold it. The plan has those too, and what else stands here under the stream is none of its.
    rows.executemany("DELETE FROM destroyed_keys WHERE stream = ?", streams)
    rows.executemany(
        "INSERT INTO destroyed_keys (key_id, stream, position) VALUES (?, ?, ?)"
        " ON CONFLICT (key_id) DO UPDATE SET stream = excluded.stream,"
        " position = excluded.position",
        [(id_bytes(key_id), NO_STREAM, expiry.position) for key_id in sorted(plan.key_ids)],
    )
    rows.executemany(
        "INSERT INTO tombstones (mark, hub, organisation) VALUES (?, ?, ?)",
        [(entry.mark, None, None) for entry in ids]
        + [(one.mark, one.hub, one.organisation) for one in plan.doomed],
    )
    rows.executemany(
        "INSERT INTO expired (first, last, position) VALUES (?, ?, ?)",
        [(first, last, at) for at, spans in expiry.spans for first, last in spans],
    )
    rows.execute(
        "INSERT INTO expiry_state (one, through, key_id) VALUES (1, ?, ?)"
        " ON CONFLICT (one) DO UPDATE SET through = excluded.through",
        (expiry.position + 1, id_bytes(plan.mark_key)),
    )


def note_restored(rows: Rows, position: int, signature: bytes) -> None:
    """Keep the signed word of a restore on the keys of an expiry, not all of which it knows."""
    rows.execute(
        "INSERT INTO restored_expiries (position, signature) VALUES (?, ?)", (position, signature)
    )


def select_restored(rows: Rows) -> dict[int, bytes]:
    """What restores have signed of the keys of expiries, by the position of each."""
    rows.execute("SELECT position, signature FROM restored_expiries")
    return {int(position): bytes(signature) for position, signature in rows.fetchall()}


def select_gone(rows: Rows) -> dict[int, list[str]]:
    """Ids of the keys of streams that expired, by the position of the entry that says so."""
    rows.execute("SELECT position, key_id FROM destroyed_keys WHERE stream = ?", (NO_STREAM,))
    found: dict[int, list[str]] = {}
    for position, key_id in rows.fetchall():
        found.setdefault(int(position), []).append(str(id_text(key_id)))
    return found


def insert_blank_tombstones(rows: Rows, marks: Iterable[bytes]) -> None:
    """Keep tombstones of entries whose ids nobody knows any more, since a restore could not bring
    them back before they expired: no event is told by them, but their number is right."""
    rows.executemany(
        "INSERT INTO tombstones (mark, hub, organisation) VALUES (?, ?, ?)",
        [(mark, None, BLANK) for mark in marks],
    )


def count_blank_tombstones(rows: Rows) -> int:
    """How many tombstones no event is told by."""
    rows.execute("SELECT COUNT(*) FROM tombstones WHERE hub IS NULL AND organisation = ?", (BLANK,))
    return int(rows.fetchone()[0])


def count_expired(rows: Rows, since: int) -> int:
    """How many entries have expired by entries of the log from that position on."""
    rows.execute("SELECT SUM(last - first + 1) FROM expired WHERE position >= ?", (since,))
    return int(rows.fetchone()[0] or 0)


def expiry_state(rows: Rows) -> tuple[int, str | None]:
    """The tree size after the last expiry, and the id of the key of tombstones; 0 and None before
    the first."""
    rows.execute("SELECT through, key_id FROM expiry_state WHERE one = 1")
    row = rows.fetchone()
    return (0, None) if row is None else (int(row[0]), id_text(row[1]))


def has_expired(rows: Rows, position: int) -> bool:
    """Whether an entry of the log says that the entry at this position has expired."""
    rows.execute(
        "SELECT last FROM expired WHERE first <= ? ORDER BY first DESC LIMIT 1", (position,)
    )
    row = rows.fetchone()
    return row is not None and int(row[0]) >= position


def find_tombstones(
    rows: Rows, marks: Collection[bytes]
) -> dict[bytes, tuple[str | None, str | None]]:
    """Those of the tombstones that are there, with the hub and organisation of a stream's."""
    found: dict[bytes, tuple[str | None, str | None]] = {}
    for chunk in chunks(sorted(set(marks))):
        wanted = ",".join("?" * len(chunk))
        rows.execute(
            f"SELECT mark, hub, organisation FROM tombstones WHERE mark IN ({wanted})", list(chunk)
        )
        found.update((bytes(row[0]), (row[1], row[2])) for row in rows.fetchall())
    return found


def positions_of(rows: Rows, position_sql: str, streams: Iterable[str]) -> dict[str, list[int]]:
    """The positions of these streams' entries, in order."""
    found: dict[str, list[int]] = {}
    for chunk in chunks(sorted(set(streams))):
        marks = ",".join("?" * len(chunk))
        rows.execute(
            f"SELECT originator_id, {position_sql} FROM {EVENTS_TABLE}"
            f" WHERE originator_id IN ({marks}) ORDER BY originator_id, originator_version",
            list(chunk),
        )
        for stream, position in rows.fetchall():
            found.setdefault(stream, []).append(int(position))
    return found


def streams_of(rows: Rows, hub: str) -> list[str]:
    """The streams that belong to a hub."""
    rows.execute("SELECT stream FROM stream_heads WHERE hub = ? ORDER BY stream", (hub,))
    return [str(row[0]) for row in rows.fetchall()]


def streams_begun_with(
    rows: Rows, first: str, hub: str, organisation: str
) -> list[tuple[str, bytes]]:
    """The streams of a hub and organisation that begin with an entry of this type, and that
    entry."""
    rows.execute(
        f"SELECT h.stream, e.state FROM stream_heads h JOIN {EVENTS_TABLE} e"
        " ON e.originator_id = h.stream AND e.originator_version = 1"
        " WHERE h.hub = ? AND h.organisation = ? AND e.topic = ? ORDER BY h.stream",
        (hub, organisation, first),
    )
    return [(str(row[0]), bytes(row[1])) for row in rows.fetchall()]


def first_positions(rows: Rows, position_sql: str, hubs: Collection[str]) -> list[tuple[int, str]]:
    """Where the streams of some hubs begin, the oldest first."""
    found: list[tuple[int, str]] = []
    for chunk in chunks(sorted(hubs)):
        marks = ",".join("?" * len(chunk))
        rows.execute(
            f"SELECT {position_sql}, h.stream FROM stream_heads h JOIN {EVENTS_TABLE} e"
            " ON e.originator_id = h.stream AND e.originator_version = 1"
            f" WHERE h.hub IN ({marks})",
            list(chunk),
        )
        found += [(int(position), str(stream)) for position, stream in rows.fetchall()]
    return sorted(found)


def hubs_of(rows: Rows, organisation: str, but: Collection[str]) -> set[str]:
    """The hubs in which an organisation has a stream, without looking at some of them."""
    rows.execute(
        "SELECT stream, hub FROM stream_heads WHERE organisation = ?",
        (organisation,),
    )
    return {str(hub) for stream, hub in rows.fetchall() if stream not in but}


def last_entries(rows: Rows, streams: Sequence[str]) -> dict[str, bytes]:
    """The last entry of each of these streams."""
    found: dict[str, bytes] = {}
    for chunk in chunks(streams):
        marks = ",".join("?" * len(chunk))
        rows.execute(
            f"SELECT h.stream, e.state FROM stream_heads h JOIN {EVENTS_TABLE} e"
            " ON e.originator_id = h.stream AND e.originator_version = h.version"
            f" WHERE h.stream IN ({marks})",
            list(chunk),
        )
        found.update((str(row[0]), bytes(row[1])) for row in rows.fetchall())
    return found


def true_sources(rows: Rows) -> list[str]:
    """Every source that has recorded anything, each found by the index."""
    found: list[str] = []
    while True:
        after = found[-1] if found else ""
        rows.execute("SELECT MIN(source) FROM duplicates WHERE source > ?", (after,))
        source = rows.fetchone()[0]
        if source is None:
            return found
        found.append(str(source))


class ExpiryReads(ABC):
    """What a store tells of what has expired."""

    @abstractmethod
    def read(self) -> AbstractContextManager[Rows]:
        """A read-only snapshot."""

    def expired_through(self) -> int:
        """The tree size after the last expiry; 0 before the first."""
        with self.read() as rows:
            return expiry_state(rows)[0]

    def has_expired(self, position: int) -> bool:
        """Whether the entry at this position has expired."""
        with self.read() as rows:
            return has_expired(rows, position)


class ExpiryRows:
    """What decides over an expiry, as an open transaction sees it."""

    def __init__(self, rows: Rows, position_sql: str) -> None:
        self._rows, self._position = rows, position_sql

    def through(self) -> int:
        """The tree size after the last expiry; 0 before the first."""
        return expiry_state(self._rows)[0]

    def are_as_planned(self, doomed: Sequence[Doomed]) -> bool:
        """Whether streams that are to expire hold the very entries that the plan names."""
        held = positions_of(self._rows, self._position, [one.stream for one in doomed])
        named = {one.stream: sorted(e.position for e in one.entries) for one in doomed}
        places = {(e.source, e.id): e.position for one in doomed for e in one.entries}
        return held == named and find_duplicates(self._rows, list(places)) == places

    def recorded_since(self, size: int, types: Sequence[str]) -> bool:
        """Whether an entry of one of these types came after the first `size` entries."""
        marks = ",".join("?" * len(types))
        self._rows.execute(
            f"SELECT 1 FROM {EVENTS_TABLE} WHERE {key_column(self._position)} > ?"
            f" AND topic IN ({marks}) LIMIT 1",
            [size, *types],
        )
        return self._rows.fetchone() is not None
