"""The SQL that both databases share, with `?` placeholders."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol
from uuid import UUID

from ledger.store.records import EVENTS_TABLE, Head, Published, SealedRow, StreamHead

#: Values bound in one statement, well under SQLite's limit of 32,766.
CHUNK: Final = 500


class Rows(Protocol):
    """A cursor of either database, with `?` placeholders."""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Any: ...

    def executemany(self, sql: str, params: Sequence[Sequence[Any]]) -> Any: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> Any: ...


def chunks(items: Sequence[Any], size: int = CHUNK) -> Iterator[Sequence[Any]]:
    """The items in groups that one statement can bind."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def id_bytes(event_id: str) -> bytes:
    """A UUID's text as 16 bytes."""
    return bytes.fromhex(event_id.replace("-", ""))


def optional_bytes(key_id: str | None) -> bytes | None:
    """`id_bytes` where there may be none."""
    return None if key_id is None else id_bytes(key_id)


def id_text(raw: bytes | None) -> str | None:
    """16 bytes as a UUID's text."""
    return None if raw is None else str(UUID(bytes=bytes(raw)))


def key_column(position_sql: str) -> str:
    """The column that a store's `position_sql` takes one from. Neither database looks an expression
    up in the index of a column, so what is wanted in order or by position is asked for by this."""
    return position_sql.removesuffix(" - 1")


def find_duplicates(rows: Rows, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Positions of those (true source, id) that are recorded already."""
    found: dict[tuple[str, str], int] = {}
    for chunk in chunks(keys):
        wanted = {(source, id_bytes(event_id)): (source, event_id) for source, event_id in chunk}
        marks = ",".join(["(?,?)"] * len(wanted))
        # A subquery for each: for `(source, id) IN (VALUES ...)` SQLite reads the whole table, and
        # so does PostgreSQL until it is large.
        rows.execute(
            f"WITH wanted (source, id) AS (VALUES {marks}) SELECT source, id, (SELECT d.position"
            " FROM duplicates d WHERE d.source = wanted.source AND d.id = wanted.id) FROM wanted",
            [value for key in wanted for value in key],
        )
        for source, raw, position in rows.fetchall():
            if position is not None:
                found[wanted[(source, bytes(raw))]] = position
    return found


def select_stream_heads(rows: Rows, streams: Iterable[str]) -> dict[str, StreamHead]:
    """Heads of those streams that exist."""
    found: dict[str, StreamHead] = {}
    for chunk in chunks(sorted(set(streams))):
        marks = ",".join("?" * len(chunk))
        rows.execute(
            "SELECT stream, version, link, hub, organisation, subject_key, attribution_key"
            f" FROM stream_heads WHERE stream IN ({marks})",
            list(chunk),
        )
        for row in rows.fetchall():
            found[row[0]] = StreamHead(
                row[1], bytes(row[2]), row[3], row[4], id_text(row[5]), id_text(row[6])
            )
    return found


def select_sealed(rows: Rows, positions: Sequence[int]) -> list[SealedRow]:
    """The sealed rows of these positions, by position and class."""
    found: list[SealedRow] = []
    for chunk in chunks(positions):
        marks = ",".join("?" * len(chunk))
        rows.execute(
            "SELECT position, key_class, key_id, ciphertext FROM sealed"
            f" WHERE position IN ({marks}) ORDER BY position, key_class",
            list(chunk),
        )
        found += [
            SealedRow(r[0], r[1], str(UUID(bytes=bytes(r[2]))), bytes(r[3]))
            for r in rows.fetchall()
        ]
    return found


def select_cells(rows: Rows, level: int, start: int, stop: int) -> list[bytes]:
    """Cells `start` to `stop` (exclusive) of one level; fewer when they do not exist."""
    rows.execute(
        "SELECT hash FROM cells WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx",
        (level, start, stop),
    )
    return [bytes(row[0]) for row in rows.fetchall()]


def select_entry(rows: Rows, position_sql: str, position: int) -> bytes | None:
    """The bytes of the entry at a position, if there are any."""
    rows.execute(
        f"SELECT state FROM {EVENTS_TABLE} WHERE {key_column(position_sql)} = ?", (position + 1,)
    )
    row = rows.fetchone()
    return None if row is None else bytes(row[0])


def select_head(rows: Rows, suffix: str = "") -> Head | None:
    """The head row; `suffix` is the database's own way to lock it."""
    rows.execute(f"SELECT size, root, edge, checkpoint, recorded_at FROM head{suffix}")
    row = rows.fetchone()
    if row is None:
        return None
    edge = bytes(row[2])
    hashes = tuple(edge[i : i + 32] for i in range(0, len(edge), 32))
    return Head(row[0], bytes(row[1]), hashes, bytes(row[3]), row[4])


def select_published(rows: Rows, size: int) -> Published:
    """The checkpoint published of that size, or the sizes around it."""
    rows.execute("SELECT checkpoint FROM publications WHERE size = ? ORDER BY seq LIMIT 1", (size,))
    row = rows.fetchone()
    if row is not None:
        return Published(bytes(row[0]))
    around: list[int | None] = []
    for sql in (
        "SELECT MAX(size) FROM publications WHERE size < ?",
        "SELECT MIN(size) FROM publications WHERE size > ?",
    ):
        rows.execute(sql, (size,))
        found = rows.fetchone()[0]
        around.append(None if found is None else int(found))
    return Published(None, *around)
