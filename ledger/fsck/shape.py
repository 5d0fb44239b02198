"""The form of what is stored: values of the types and lengths that every reader relies on.

Guarantees: when nothing is yielded, no value read from the event store is of another type than its
column, and every hash and key id has its length; what cannot be read at all is a failure too.
SQLite keeps any type in any column, and neither database bounds the length of a blob, so this is
looked at before anything else is.
"""

from collections.abc import Iterator

from ledger.database import database_errors
from ledger.store.expiry import MARK_BYTES
from ledger.store.lost import SIGNATURE_BYTES
from ledger.store.records import EVENTS_TABLE
from ledger.store.rows import Rows, key_column
from ledger_verifier.audit.report.model import Failure

#: For each table: what tells a row, and its columns with the length of those that have one.
_TABLES: dict[str, tuple[str, dict[str, tuple[str, int | None]]]] = {
    EVENTS_TABLE: (
        "{position}",
        {
            "originator_id": ("text", None),
            "originator_version": ("integer", None),
            "topic": ("text", None),
            "state": ("blob", None),
        },
    ),
    "head": (
        "NULL",
        {
            "one": ("integer", None),
            "size": ("integer", None),
            "root": ("blob", 32),
            "edge": ("blob", None),
            "checkpoint": ("blob", None),
            "recorded_at": ("text", None),
        },
    ),
    "stream_heads": (
        "NULL",
        {
            "stream": ("text", None),
            "version": ("integer", None),
            "link": ("blob", 32),
            "hub": ("text", None),
            "organisation": ("text", None),
            "subject_key": ("blob", 16),
            "attribution_key": ("blob", 16),
        },
    ),
    "cells": (
        "NULL",
        {"level": ("integer", None), "idx": ("integer", None), "hash": ("blob", 32)},
    ),
    "duplicates": (
        "position",
        {"source": ("text", None), "id": ("blob", 16), "position": ("integer", None)},
    ),
    "sealed": (
        "position",
        {
            "position": ("integer", None),
            "key_class": ("text", None),
            "key_id": ("blob", 16),
            "ciphertext": ("blob", None),
        },
    ),
    "destroyed_keys": (
        "position",
        {"key_id": ("blob", 16), "stream": ("text", None), "position": ("integer", None)},
    ),
    "lost": (
        "declared",
        {
            "first": ("integer", None),
            "last": ("integer", None),
            "key_class": ("text", None),
            "entries": ("integer", None),
            "backup_size": ("integer", None),
            "log_size": ("integer", None),
            "signature": ("blob", SIGNATURE_BYTES),
            "declared": ("integer", None),
        },
    ),
    "expiry_state": (
        "NULL",
        {"one": ("integer", None), "through": ("integer", None), "key_id": ("blob", 16)},
    ),
    "expired": (
        "first",
        {"first": ("integer", None), "last": ("integer", None), "position": ("integer", None)},
    ),
    "restored_expiries": (
        "position",
        {"position": ("integer", None), "signature": ("blob", SIGNATURE_BYTES)},
    ),
    "tombstones": (
        "NULL",
        {"mark": ("blob", MARK_BYTES), "hub": ("text", None), "organisation": ("text", None)},
    ),
    "publications": (
        "NULL",
        {
            "seq": ("integer", None),
            "size": ("integer", None),
            "checkpoint": ("blob", None),
            "published_at": ("text", None),
        },
    ),
}
#: Columns that may hold nothing.
_OPTIONAL = frozenset({"subject_key", "attribution_key", "declared", "signature"})
#: Tables of which other columns may hold nothing: only the tombstone of a stream says whose it was.
_OPTIONAL_IN = {"tombstones": frozenset({"hub", "organisation"})}
_MOST = 10


def misshapen(rows: Rows, position_sql: str, *, untyped: bool) -> Iterator[Failure]:
    """What does not have its column's form, or cannot be read at all; `untyped` for a database
    that does not see to types."""
    for table, (place, columns) in _TABLES.items():
        optional = _OPTIONAL | _OPTIONAL_IN.get(table, frozenset())
        wrong = {
            name: _wrong(name, *form, untyped=untyped, optional=name in optional)
            for name, form in columns.items()
        }
        try:
            rows.execute(
                f"SELECT {place.format(position=position_sql)}, {', '.join(wrong.values())}"
                f" FROM {table} WHERE {' OR '.join(wrong.values())} LIMIT {_MOST}"
            )
            found = rows.fetchall()
        except database_errors() as error:
            yield unreadable(rows, position_sql, error, table, untyped=untyped)
            # A transaction in which a statement failed may answer nothing more.
            return
        for position, *flags in found:
            for (name, (kind, length)), is_wrong in zip(columns.items(), flags, strict=True):
                if is_wrong:
                    reason = f"{table}.{name} does not hold what belongs there: {kind}"
                    if length is not None:
                        reason += f" of {length} bytes"
                    yield Failure(reason, position if type(position) is int else None)


def _wrong(column: str, kind: str, length: int | None, *, untyped: bool, optional: bool) -> str:
    """SQL for whether a column holds what it should not. Never null, so that it can be combined."""
    wrong = [] if optional else [f"{column} IS NULL"]
    if untyped:
        wrong.append(f"({column} IS NOT NULL AND typeof({column}) <> '{kind}')")
    if length is not None:
        wrong.append(f"({column} IS NOT NULL AND length({column}) <> {length})")
    return f"({' OR '.join(wrong or ['FALSE'])})"


def unreadable(
    rows: Rows, position_sql: str, error: Exception, table: str | None, *, untyped: bool
) -> Failure:
    """The failure that an event store which cannot be read is, and where. Only SQLite answers
    anything more in the transaction that failed."""
    what = "the event store" if table is None else f"the event store's table {table}"
    position = None
    if untyped and table in (None, EVENTS_TABLE):
        position = _first_unreadable(rows, key_column(position_sql))
    return Failure(f"{what} cannot be read: {type(error).__name__}", position)


def _first_unreadable(rows: Rows, key: str) -> int | None:
    """The position of the first entry whose row cannot be read."""
    statement = (
        f"SELECT originator_id, originator_version, topic, state FROM {EVENTS_TABLE}"
        f" WHERE {key} >= ? AND {key} < ?"
    )
    try:
        rows.execute(f"SELECT MAX({key}) FROM {EVENTS_TABLE}")
        last = rows.fetchone()[0] or 0
    except database_errors():
        return None
    start, step = 1, 256
    while start <= last:
        try:
            rows.execute(statement, (start, start + step))
            rows.fetchall()
        except database_errors():
            if step == 1:
                return start - 1
            step = 1
        else:
            start += step
    return None
