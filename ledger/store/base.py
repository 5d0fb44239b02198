"""The event store: what one append writes, what may be read, and the SQL both databases share.

Guarantees: an append is one transaction under the lock of the head row. Entries, cells,
publications and duplicates are only ever inserted; the head row and stream heads are updated;
sealed rows are deleted by an erasure, and all that is of a stream when it expires. The `state`
column of an entry is the entry's canonical bytes, and its position in the log is its notification
id less one: dense from 0, but for what has expired.
"""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import orjson
from eventsourcing.persistence import Mapper, StoredEvent

from ledger.store.chain import select_stream
from ledger.store.erased import select_destroyed, select_erased, select_subject_positions
from ledger.store.expiry import ExpiryReads, ExpiryRows, expire, expiry_statements
from ledger.store.lost import declare_lost, lost_statement
from ledger.store.records import (
    EVENTS_TABLE,
    SUBJECT,
    Append,
    DestroyedKey,
    ErasedPart,
    Head,
    Published,
    RecordedEntry,
    SealedRow,
    StoredEntry,
    StreamHead,
)
from ledger.store.rows import (
    Rows,
    chunks,
    find_duplicates,
    id_bytes,
    key_column,
    optional_bytes,
    select_cells,
    select_entry,
    select_head,
    select_published,
    select_sealed,
    select_stream_heads,
)
from ledger_verifier.meaning.schemas import SEALED_LOST, parse_lost


class EntryMapper(Mapper[str]):
    """Maps an entry to a stored event without re-serialising it: the stored event is the entry."""

    def __init__(self) -> None:
        # The base class is told of no transcoder because nothing is transcoded.
        self.compressor = None
        self.cipher = None

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=domain_event.type,
            state=domain_event.raw,
        )

    def to_domain_event(self, stored_event: StoredEvent) -> RecordedEntry:
        return RecordedEntry(
            str(stored_event.originator_id),
            stored_event.originator_version,
            stored_event.topic,
            stored_event.state,
        )


def create_statements(blob: str, integer: str) -> list[str]:
    """Tables beside the entries, for a database with these column types."""
    return [
        f"CREATE TABLE head (one {integer} PRIMARY KEY CHECK (one = 1), size {integer} NOT NULL,"
        f" root {blob} NOT NULL, edge {blob} NOT NULL, checkpoint {blob} NOT NULL,"
        " recorded_at TEXT NOT NULL)",
        f"CREATE TABLE stream_heads (stream TEXT PRIMARY KEY, version {integer} NOT NULL,"
        f" link {blob} NOT NULL, hub TEXT NOT NULL, organisation TEXT NOT NULL,"
        f" subject_key {blob}, attribution_key {blob})",
        f"CREATE TABLE cells (level {integer} NOT NULL, idx {integer} NOT NULL,"
        f" hash {blob} NOT NULL, PRIMARY KEY (level, idx))",
        f"CREATE TABLE duplicates (source TEXT NOT NULL, id {blob} NOT NULL,"
        f" position {integer} NOT NULL, PRIMARY KEY (source, id))",
        f"CREATE TABLE sealed (position {integer} NOT NULL, key_class TEXT NOT NULL,"
        f" key_id {blob} NOT NULL, ciphertext {blob} NOT NULL, PRIMARY KEY (position, key_class))",
        f"CREATE TABLE destroyed_keys (key_id {blob} PRIMARY KEY, stream TEXT NOT NULL,"
        f" position {integer} NOT NULL)",
        "CREATE INDEX destroyed_keys_position ON destroyed_keys (position)",
        lost_statement(blob, integer),
        f"CREATE TABLE publications (seq {integer} PRIMARY KEY, size {integer} NOT NULL,"
        f" checkpoint {blob} NOT NULL, published_at TEXT NOT NULL)",
        "CREATE INDEX publications_size ON publications (size)",
        *expiry_statements(blob, integer),
    ]


class AppendTransaction:
    """An open transaction that holds the head lock: reads what decides, then writes once."""

    def __init__(self, rows: Rows, head: Head | None, store: "Store") -> None:
        self._rows = rows
        self._store = store
        self.head = head

    def find_duplicates(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Positions of those (true source, id) that are recorded already."""
        return find_duplicates(self._rows, keys)

    def stream_heads(self, streams: Iterable[str]) -> dict[str, StreamHead]:
        """Heads of those streams that exist."""
        return select_stream_heads(self._rows, streams)

    def subject_keys(self, stream: str) -> set[str]:
        """Ids of the keys under which sealed subject fields of a stream are stored."""
        self._rows.execute(
            "SELECT DISTINCT key_id FROM sealed WHERE key_class = ? AND position IN"
            f" (SELECT {self._store.position_sql} FROM {EVENTS_TABLE} WHERE originator_id = ?)",
            (SUBJECT, stream),
        )
        return {str(UUID(bytes=bytes(row[0]))) for row in self._rows.fetchall()}

    def subject_positions(self, stream: str) -> dict[int, int]:
        """Positions and versions of the entries of a stream whose subject fields are stored."""
        return select_subject_positions(self._rows, self._store.position_sql, stream)

    def last_stamp(self, size: int) -> str:
        """`recorded_at` of the last of this many entries, from its own bytes."""
        raw = select_entry(self._rows, self._store.position_sql, size - 1)
        return "" if raw is None else str(orjson.loads(raw)["recorded_at"])

    def destroyed(self, key_ids: Iterable[str]) -> set[str]:
        """Those of the key ids that an erasure has named."""
        found: set[str] = set()
        for chunk in chunks(sorted(set(key_ids))):
            marks = ",".join("?" * len(chunk))
            self._rows.execute(
                f"SELECT key_id FROM destroyed_keys WHERE key_id IN ({marks})",
                [id_bytes(key_id) for key_id in chunk],
            )
            found.update(str(UUID(bytes=bytes(row[0]))) for row in self._rows.fetchall())
        return found

    @property
    def expiry(self) -> ExpiryRows:
        """What decides over an expiry, as this transaction sees it."""
        return ExpiryRows(self._rows, self._store.position_sql)

    def cells(self, level: int, start: int, stop: int) -> list[bytes]:
        """Cells of one level as this transaction sees them."""
        return select_cells(self._rows, level, start, stop)

    def write(self, append: Append) -> None:
        """Write everything; the caller's context manager commits."""
        self._store.insert_entries(self._rows, append.first_position, append.entries)
        rows = self._rows
        rows.executemany("INSERT INTO cells (level, idx, hash) VALUES (?, ?, ?)", append.cells)
        rows.executemany(
            "INSERT INTO duplicates (source, id, position) VALUES (?, ?, ?)",
            [(source, id_bytes(i), position) for source, i, position in append.duplicates],
        )
        self._seal(append.sealed)
        rows.executemany(
            "INSERT INTO stream_heads"
            " (stream, version, link, hub, organisation, subject_key, attribution_key)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream) DO UPDATE SET"
            " version = excluded.version, link = excluded.link,"
            " subject_key = excluded.subject_key, attribution_key = excluded.attribution_key",
            [
                (
                    name,
                    h.version,
                    h.link,
                    h.hub,
                    h.organisation,
                    optional_bytes(h.subject_key),
                    optional_bytes(h.attribution_key),
                )
                for name, h in append.stream_heads.items()
            ],
        )
        for destroyed in append.destroyed:
            self._erase(destroyed)
        for position, stored in enumerate(append.entries, append.first_position):
            if stored.topic == SEALED_LOST:
                declare_lost(rows, position, parse_lost(orjson.loads(stored.state)["data"]))
        # In the place of rows that are gone by now.
        self._seal(append.resealed)
        for expiry in append.expiries:
            expire(rows, self._store.position_sql, expiry)
        self._write_head(append.head)

    def _seal(self, sealed: Sequence[SealedRow]) -> None:
        self._rows.executemany(
            "INSERT INTO sealed (position, key_class, key_id, ciphertext) VALUES (?, ?, ?, ?)",
            [(s.position, s.key_class, id_bytes(s.key_id), s.ciphertext) for s in sealed],
        )

    def _erase(self, destroyed: "DestroyedKey") -> None:
        key_id = id_bytes(destroyed.key_id)
        self._rows.execute(
            "INSERT INTO destroyed_keys (key_id, stream, position) VALUES (?, ?, ?)",
            (key_id, destroyed.stream, destroyed.position),
        )
        self._rows.execute(
            "DELETE FROM sealed WHERE key_id = ? AND position IN"
            f" (SELECT {self._store.position_sql} FROM {EVENTS_TABLE} WHERE originator_id = ?)",
            (key_id, destroyed.stream),
        )

    def _write_head(self, head: Head) -> None:
        self._rows.execute(
            "INSERT INTO head (one, size, root, edge, checkpoint, recorded_at)"
            " VALUES (1, ?, ?, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET size = excluded.size,"
            " root = excluded.root, edge = excluded.edge, checkpoint = excluded.checkpoint,"
            " recorded_at = excluded.recorded_at",
            (head.size, head.root, b"".join(head.edge), head.checkpoint, head.recorded_at),
        )


class Store(ExpiryReads):
    """The event store of one ledger. Reading methods may be called from any thread; `append` and
    `publish` from the writer alone."""

    mapper = EntryMapper()
    #: SQL for an entry's position in the entries table.
    position_sql: str

    @abstractmethod
    def create(self) -> None:
        """Create the tables; raises ConfigurationError when a ledger is there already."""

    @abstractmethod
    def append(self) -> AbstractContextManager[AppendTransaction]:
        """A transaction that holds the head lock; commits durably when its block ends."""

    @abstractmethod
    def read(self) -> AbstractContextManager[Rows]:
        """A read-only snapshot."""

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Rows]:
        """A read-only view of one moment, however long it is read."""

    def fill(self) -> AbstractContextManager[Rows]:
        """A transaction that fills a new store, however long that takes; commits when its block
        ends."""
        return self._write()

    @abstractmethod
    def insert_entries(self, rows: Rows, first: int, events: Sequence[StoredEvent]) -> None:
        """Insert entries at dense positions from `first`, inside an append."""

    @abstractmethod
    def entries(self, start: int, limit: int, types: Sequence[str] = ()) -> list[StoredEntry]:
        """Up to `limit` entries from position `start` in log order, of these types if given."""

    def stream(self, stream: str) -> list[StoredEntry]:
        """The entries of a stream, in order, whole; raises IntegrityAlarm where they are not those
        that its chain names."""
        with self.read() as rows:
            return select_stream(rows, self.position_sql, stream)

    def erased(self, streams: Iterable[str]) -> dict[str, ErasedPart]:
        """For those streams of which anything was erased: what."""
        with self.read() as rows:
            return select_erased(rows, streams)

    @abstractmethod
    def try_publisher(self) -> bool:
        """Take (or keep) the lock of the one publisher; False when another holds it."""

    @abstractmethod
    def now(self) -> float | None:
        """The database's own clock in POSIX seconds; None when it has none of its own."""

    @abstractmethod
    def scrub(self, *, expired: bool = False) -> bool:
        """After an erasure, or an expiry: leave no deleted row in the write-ahead log. False when a
        reader is in the way: try again."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[Rows]:
        """A transaction that writes."""

    def _publishing(self) -> AbstractContextManager[Rows]:
        """A transaction that succeeds only while the publisher's lock is held."""
        return self._write()

    def head(self) -> Head | None:
        """The committed head, or None before `init`."""
        with self.read() as rows:
            return select_head(rows)

    def entry(self, position: int) -> bytes | None:
        """The bytes of one entry, or None when there is none at that position."""
        found = self.entries(position, 1)
        return found[0].raw if found and found[0].position == position else None

    def entries_at(self, positions: Iterable[int]) -> dict[int, bytes]:
        """The bytes of the entries at those positions that have one."""
        key = key_column(self.position_sql)
        found: dict[int, bytes] = {}
        with self.read() as rows:
            for chunk in chunks(sorted(set(positions))):
                marks = ",".join("?" * len(chunk))
                rows.execute(
                    f"SELECT {self.position_sql}, state FROM {EVENTS_TABLE}"
                    f" WHERE {key} IN ({marks})",
                    [position + 1 for position in chunk],
                )
                found.update((row[0], bytes(row[1])) for row in rows.fetchall())
        return found

    def cells(self, level: int, start: int, stop: int) -> list[bytes]:
        """Cells `start` to `stop` (exclusive) of one tile level."""
        with self.read() as rows:
            return select_cells(rows, level, start, stop)

    def duplicates(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Positions of those (true source, id) that are recorded already."""
        with self.read() as rows:
            return find_duplicates(rows, keys)

    def look(
        self, keys: Sequence[tuple[str, str]], streams: Iterable[str]
    ) -> tuple[dict[tuple[str, str], int], dict[str, StreamHead]]:
        """`duplicates` and `stream_heads` in one read."""
        with self.read() as rows:
            return find_duplicates(rows, keys), select_stream_heads(rows, streams)

    def sealed(self, positions: Sequence[int]) -> list[SealedRow]:
        """The sealed rows of these positions, by position and class."""
        with self.read() as rows:
            return select_sealed(rows, positions)

    def destroyed_keys(self, from_position: int) -> list[DestroyedKey]:
        """Keys that stand with erasures and expiries at or after that position, in order."""
        with self.read() as rows:
            return select_destroyed(rows, from_position)

    def stream_heads(self, streams: Iterable[str]) -> dict[str, StreamHead]:
        """Heads of those streams that exist."""
        with self.read() as rows:
            return select_stream_heads(rows, streams)

    def stream_head(self, stream: str) -> StreamHead | None:
        """The head of a stream, or None when it does not exist."""
        return self.stream_heads([stream]).get(stream)

    def publish(self, size: int, checkpoint: bytes, published_at: str) -> None:
        """Keep a published checkpoint for ever. Raises when the publisher's lock was lost."""
        with self._publishing() as rows:
            rows.execute(
                "INSERT INTO publications (seq, size, checkpoint, published_at) VALUES"
                " ((SELECT COALESCE(MAX(seq), 0) + 1 FROM publications), ?, ?, ?)",
                (size, checkpoint, published_at),
            )

    def newest_publication(self) -> tuple[int, bytes] | None:
        """Size and signed checkpoint of the newest publication."""
        with self.read() as rows:
            rows.execute("SELECT size, checkpoint FROM publications ORDER BY seq DESC LIMIT 1")
            row = rows.fetchone()
            return None if row is None else (row[0], bytes(row[1]))

    def published_at(self, size: int) -> Published:
        """The checkpoint that was published of that size, or the sizes that were around it."""
        with self.read() as rows:
            return select_published(rows, size)

    def last_published(self) -> str:
        """When the newest publication was published; empty when there is none."""
        with self.read() as rows:
            rows.execute("SELECT published_at FROM publications ORDER BY seq DESC LIMIT 1")
            row = rows.fetchone()
            return "" if row is None else str(row[0])

    def publications(self, after: int = 0, limit: int = 1000) -> list[tuple[int, int, bytes]]:
        """Sequence number, size and checkpoint of publications after that number, in order."""
        with self.read() as rows:
            rows.execute(
                "SELECT seq, size, checkpoint FROM publications WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            )
            return [(row[0], row[1], bytes(row[2])) for row in rows.fetchall()]
