"""Scrubbing a PostgreSQL database and its server's write-ahead log.

Guarantees: a table is said to be rewritten when it has another file than before, without a deleted
row. No statement holds a table for longer than allowed, or waits for one longer than `LOCK_SECONDS`
with others behind it. The write-ahead log is said to be turned over when every segment that was
there has been closed and removed, or written over.

What each step is for: a deleted row stays in its page, also after VACUUM, until something else is
written there, so the table is rewritten; ANALYZE keeps values of short columns in `pg_statistic`,
so that is made anew and rewritten too; a checkpoint renames closed segments for later use with what
is in them, and a segment that is closed early is filled with zeros, so as many are closed as there
are.
"""

import math
import re
import time
from contextlib import closing
from typing import Any, Final

import psycopg
from psycopg import errors

from ledger.scrubbing.report import Scrubbed

#: Seconds that a rewrite waits for a table, while whoever comes after waits behind it; and how
#: often it tries.
LOCK_SECONDS: Final = 2
ATTEMPTS: Final = 5
#: Seconds between two attempts when something else than a lock is in the way.
PAUSE_SECONDS: Final = 0.2
#: The columns' statistics: the values of rows, as ANALYZE found them.
_STATISTICS: Final = "pg_statistic"
_SEGMENT_DIGITS: Final = 24
_NUMBER: Final = re.compile("[0-9]+")
_NOT_OWNED: Final = "is not for this user to rewrite: let its owner, or the database's, run this"

_Connection = psycopg.Connection[tuple[Any, ...]]


def rewrite(url: str, tables: tuple[str, ...], seconds: float, scrubbed: Scrubbed) -> None:
    """Rewrite these tables, as far as they are there, and what the server has noted of them."""
    with closing(psycopg.connect(url, autocommit=True, connect_timeout=10)) as connection:
        connection.execute(f"SET lock_timeout = {int(1000 * LOCK_SECONDS)}".encode())
        for table in (*tables, _STATISTICS):
            if _file_of(connection, table) is None:
                continue
            problem = _rewrite(connection, table, seconds)
            if problem is None:
                scrubbed.done.append(f"{table}: rewritten")
            else:
                scrubbed.left.append(f"{table}: {problem}")


def _rewrite(connection: _Connection, table: str, seconds: float) -> str | None:
    """Rewrite one table; why it was not, if it was not."""
    problem = None
    for _ in range(ATTEMPTS):
        before = _file_of(connection, table)
        try:
            kept = _vacuum(connection, table, seconds)
        except errors.LockNotAvailable:
            problem = "is in use by a transaction that does not end. Run this again later"
            continue
        except errors.QueryCanceled:
            return (
                f"takes longer than {seconds:g} seconds. Run this with --seconds 0 while nothing "
                "is recorded, or allow more"
            )
        except errors.InsufficientPrivilege:
            return _NOT_OWNED
        if _file_of(connection, table) == before:
            return _NOT_OWNED
        if not kept:
            return None if table == _STATISTICS else _analyse(connection, table)
        problem = (
            f"{kept} deleted rows are kept for a transaction that began before they were deleted "
            "(a backup, an fsck, a standby's). Run this again when it has ended"
        )
        time.sleep(PAUSE_SECONDS)
    return problem


def _vacuum(connection: _Connection, table: str, seconds: float) -> int:
    """Rewrite a table; how many deleted rows were taken over, because a transaction that is still
    open might ask for them."""
    details: list[str] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        details.append(diagnostic.message_detail or "")

    connection.add_notice_handler(note)
    try:
        _run(connection, f"VACUUM (FULL, VERBOSE) {table}", seconds)
    finally:
        connection.remove_notice_handler(note)
    # In whatever language: the number of them comes first.
    return sum(int(found[0]) for one in details if (found := _NUMBER.search(one)))


def _analyse(connection: _Connection, table: str) -> str | None:
    """Have the server note anew what values a table has, which holds nobody up."""
    try:
        connection.execute(f"ANALYZE {table}".encode())
    except errors.LockNotAvailable:
        return "rewritten, but what the server noted of its values is not made anew. Run this again"
    return None


def _run(connection: _Connection, statement: str, seconds: float) -> None:
    connection.execute(f"SET statement_timeout = {math.ceil(1000 * seconds)}".encode())
    try:
        connection.execute(statement.encode())
    finally:
        connection.execute("SET statement_timeout = 0")


def _file_of(connection: _Connection, table: str) -> int | None:
    row = connection.execute("SELECT pg_relation_filenode(to_regclass(%s))", (table,)).fetchone()
    return None if row is None else row[0]


def turn_over(url: str, scrubbed: Scrubbed) -> None:
    """Have a server put what is in its write-ahead log now behind it."""
    with closing(psycopg.connect(url, autocommit=True, connect_timeout=10)) as connection:
        try:
            closed = _turn_over(connection)
        except errors.InsufficientPrivilege:
            scrubbed.left.append(
                "the write-ahead log: this user may not turn it over. It takes the role "
                "pg_checkpoint, the role pg_monitor, and EXECUTE on pg_switch_wal() (or a "
                "superuser); else it is turned over as the server writes"
            )
        else:
            kept = [name for name in _segments(connection) if name <= closed]
            if kept:
                scrubbed.left.append(
                    f"the write-ahead log: {len(kept)} closed segments are kept, by a replication "
                    "slot, wal_keep_size, or an archive that has not taken them. Run this again"
                )
            else:
                scrubbed.done.append("the write-ahead log: turned over")
        _look_beyond(connection, scrubbed)


def _turn_over(connection: _Connection) -> str:
    """Close the segment in use, and write over all that are there for later use; returns the name
    of the last with anything from before."""
    closed = _one(connection, "SELECT pg_walfile_name(pg_switch_wal())")
    # From here on nothing that recovery needs is in those before it: they are removed or renamed.
    connection.execute("CHECKPOINT")
    last = max(_segments(connection))
    while _one(connection, "SELECT pg_walfile_name(pg_current_wal_lsn())") <= last:
        # An empty segment would not be closed.
        connection.execute("SELECT pg_logical_emit_message(false, 'hub-ledger', '')")
        connection.execute("SELECT pg_switch_wal()")
    connection.execute("CHECKPOINT")
    return closed


def _segments(connection: _Connection) -> list[str]:
    """Names of the segments that are there, whatever is in them."""
    found = connection.execute("SELECT name FROM pg_ls_waldir()").fetchall()
    return sorted(str(name) for (name,) in found if len(name) == _SEGMENT_DIGITS)


def _look_beyond(connection: _Connection, scrubbed: Scrubbed) -> None:
    if _one(connection, "SHOW archive_mode") != "off":
        scrubbed.beyond.append(
            "archived write-ahead log: it holds what it held until you delete it"
        )
    standbys = "SELECT (SELECT COUNT(*) FROM pg_stat_replication)::text"
    if _one(connection, standbys) != "0":
        scrubbed.beyond.append(
            "standbys: their tables follow, but each turns over its own write-ahead log in its "
            "own time"
        )


def _one(connection: _Connection, sql: str) -> str:
    row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return str(row[0])
