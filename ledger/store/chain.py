"""The entries of one stream, whole or not at all.

Guarantees: what is read of a stream is every entry of it, in order and unaltered, as far as its own
chain says so: each entry names the one before by its hash, the head of the stream names the last,
and what stands in columns beside an entry is what the entry itself says. Whoever alters a row for a
moment, so that a hold, a contest or an erasure is overlooked, would have to write the head anew
too; the next entry of the stream then names, for good and in the signed tree, what was never there.
"""

from typing import Any

import orjson

from ledger.errors import IntegrityAlarm
from ledger.store.records import EVENTS_TABLE, StoredEntry
from ledger.store.rows import Rows
from ledger_verifier.formats.entry import link_hash


def select_stream(rows: Rows, position_sql: str, stream: str) -> list[StoredEntry]:
    """The entries of a stream, in order; none where there is no such stream. Raises IntegrityAlarm
    where they are not those that its chain and its head name."""
    # One statement, and so one moment, also where each statement sees the newest.
    rows.execute(
        "SELECT e.place, e.version, e.topic, e.state, h.version, h.link"
        " FROM (SELECT 1 AS one) AS always"
        f" LEFT JOIN (SELECT {position_sql} AS place, originator_version AS version, topic, state"
        f" FROM {EVENTS_TABLE} WHERE originator_id = ?) AS e ON 1 = 1"
        " LEFT JOIN (SELECT version, link FROM stream_heads WHERE stream = ?) AS h ON 1 = 1"
        " ORDER BY e.version",
        (stream, stream),
    )
    found = rows.fetchall()
    entries = [
        StoredEntry(int(place), stream, int(version), str(topic), bytes(state))
        for place, version, topic, state, _, _ in found
        if place is not None
    ]
    _, _, _, _, version, link = found[0]
    last = None
    for number, one in enumerate(entries, 1):
        if _named(one) != (one.type, stream, number, one.version, last):
            raise _altered(stream)
        last = link_hash(one.raw).hex()
    head = (None, None) if version is None else (int(version), bytes(link).hex())
    if head != ((len(entries), last) if entries else (None, None)):
        raise _altered(stream)
    return entries


def _named(stored: StoredEntry) -> tuple[Any, ...] | None:
    """What an entry says that it is: its type, stream, version twice, and the one before it."""
    try:
        entry = orjson.loads(stored.raw)
        of = entry["stream"]
        name = f"{of['kind']}/{of['id']}"
        return entry["type"], name, of["version"], of["version"], of["previous"]
    except (KeyError, TypeError, ValueError):
        return None


def _altered(stream: str) -> IntegrityAlarm:
    kind = stream.split("/", 1)[0]
    return IntegrityAlarm(
        f"The entries of a {kind} stream are not those that its chain names: the event store has "
        "been altered. Run hub-ledger fsck."
    )
