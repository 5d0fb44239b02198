"""What the stored log says of erasures, in the SQL that both databases share.

Guarantees: only entries of the log decide; no table beside them is believed about what is erased,
and the one that lists destroyed keys is told apart.
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


def select_erased_keys(rows: Rows, streams: Iterable[str]) -> dict[str, set[str]]:
    """For those streams of which anything was erased: the ids of the keys that went with it."""
    found: dict[str, set[str]] = {}
    for chunk in chunks(sorted(set(streams))):
        marks = ",".join("?" * len(chunk))
        rows.execute(
            f"SELECT originator_id, state FROM {EVENTS_TABLE}"
            f" WHERE originator_id IN ({marks}) AND topic = ?",
            [*chunk, ERASURE],
        )
        for stream, state in rows.fetchall():
            data = orjson.loads(bytes(state))["data"]
            found.setdefault(stream, set()).update(data["key_ids"])
    return found


def select_destroyed(rows: Rows, from_position: int) -> list[DestroyedKey]:
    """Keys that stand with erasures and expiries at or after that position, in order. That they are
    those of the log is for `ledger.log.destroyed`."""
    rows.execute(
        "SELECT key_id, stream, position FROM destroyed_keys WHERE position >= ?"
        " ORDER BY position, key_id",
        (from_position,),
    )
    return [DestroyedKey(str(UUID(bytes=bytes(row[0]))), row[1], row[2]) for row in rows.fetchall()]


def select_subject_positions(rows: Rows, position_sql: str, stream: str) -> dict[int, int]:
    """Positions and versions of the entries of a stream whose subject fields are stored."""
    column = position_sql.removesuffix(" - 1")
    rows.execute(
        f"SELECT s.position, e.originator_version FROM {EVENTS_TABLE} e JOIN sealed s"
        f" ON s.position = e.{column} - 1 AND s.key_class = ? WHERE e.originator_id = ?",
        (SUBJECT, stream),
    )
    return {int(row[0]): int(row[1]) for row in rows.fetchall()}
