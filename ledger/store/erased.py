"""What the stored log says of erasures, in the SQL that both databases share.

Guarantees: only entries of the log decide; no table beside them is believed about what is erased.
"""

from collections.abc import Iterable
from uuid import UUID

import orjson

from ledger.store.records import ERASURE, EVENTS_TABLE, SUBJECT, DestroyedKey, ErasedPart
from ledger.store.rows import Rows, chunks


def select_erased(rows: Rows, streams: Iterable[str]) -> dict[str, ErasedPart]:
    """For those streams of which anything was erased: what."""
    found: dict[str, ErasedPart] = {}
    for chunk in chunks(sorted(set(streams))):
        marks = ",".join("?" * len(chunk))
        rows.execute(
            f"SELECT originator_id, state FROM {EVENTS_TABLE}"
            f" WHERE originator_id IN ({marks}) AND topic = ? ORDER BY originator_version",
            [*chunk, ERASURE],
        )
        for stream, state in rows.fetchall():
            data = orjson.loads(bytes(state))["data"]
            earlier = found.get(stream, ErasedPart())
            found[stream] = ErasedPart(
                max(earlier.through, int(data["through"])),
                earlier.versions | frozenset(data.get("versions") or ()),
            )
    return found


def select_destroyed(rows: Rows, position_sql: str, from_position: int) -> list[DestroyedKey]:
    """Keys named by erasures at or after that position, in order."""
    column = position_sql.removesuffix(" - 1")
    rows.execute(
        "SELECT d.key_id, d.stream, d.position, e.state FROM destroyed_keys d"
        f" LEFT JOIN {EVENTS_TABLE} e ON e.{column} = d.position + 1"
        " WHERE d.position >= ? ORDER BY d.position, d.key_id",
        (from_position,),
    )
    return [
        DestroyedKey(str(UUID(bytes=bytes(row[0]))), row[1], row[2], _keeps_the_rest(row[3]))
        for row in rows.fetchall()
    ]


def _keeps_the_rest(state: bytes | None) -> bool:
    return state is not None and orjson.loads(bytes(state))["data"].get("versions") is not None


def select_subject_positions(rows: Rows, position_sql: str, stream: str) -> dict[int, int]:
    """Positions and versions of the entries of a stream whose subject fields are stored."""
    column = position_sql.removesuffix(" - 1")
    rows.execute(
        f"SELECT s.position, e.originator_version FROM {EVENTS_TABLE} e JOIN sealed s"
        f" ON s.position = e.{column} - 1 AND s.key_class = ? WHERE e.originator_id = ?",
        (SUBJECT, stream),
    )
    return {int(row[0]): int(row[1]) for row in rows.fetchall()}
