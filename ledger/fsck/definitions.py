"""What is defined in the databases, and whether their indexes say what their tables say.

Guarantees: when nothing is yielded, the event store and the key store hold the tables, indexes and
constraints that this ledger makes; nothing of its own accord copies, hides or brings back a row (a
trigger, a rule, a view in a table's place, row security, a table that inherits); and on SQLite
every row of a table is in each of its indexes, so that whoever reads by the one sees what whoever
reads by the other does. PostgreSQL has no such check of its own but the extension `amcheck`, which
is for its owner to run.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

from ledger.database import SqliteDatabase
from ledger.store.sqlite import SqliteStore
from ledger.vault.keystore import KeyStore
from ledger.vault.wrapper import LocalKeyWrapper
from ledger_verifier.audit.report.model import Failure

EVENT_STORE: Final = "the event store"
KEY_STORE: Final = "the key store"
#: What is not looked at where a database is PostgreSQL.
AMCHECK: Final = (
    "whether PostgreSQL's indexes agree with its tables: amcheck (pg_amcheck) shows that"
)

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_ROW = re.compile(r"row (\d+) missing from index sqlite_autoindex_entries_1")
_MOST: Final = 10
_DEFINED: Final = "SELECT type, name, tbl_name, sql FROM sqlite_master"
#: What changes, hides or adds rows on PostgreSQL and that this ledger never makes.
_FOREIGN: Final = """
SELECT 'trigger', t.tgname::text FROM pg_trigger t WHERE NOT t.tgisinternal
UNION ALL SELECT 'event trigger', e.evtname::text FROM pg_event_trigger e
UNION ALL SELECT 'rule', r.rulename::text FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL SELECT 'policy', p.polname::text FROM pg_policy p
UNION ALL SELECT 'table that inherits', c.relname::text FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid
UNION ALL SELECT CASE WHEN c.relkind = 'r' THEN 'table with row security' ELSE 'view' END,
  c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND (c.relkind IN ('v', 'm', 'f', 'p') OR (c.relkind = 'r' AND c.relrowsecurity))
ORDER BY 1, 2
"""


class Answers(Protocol):
    """A cursor, as far as is needed here."""

    def execute(self, sql: str, /) -> Any: ...

    def fetchall(self) -> Any: ...


def foreign(rows: Answers, store: str, *, sqlite: bool) -> Iterator[Failure]:
    """What is defined in a store that this ledger does not make, and what it makes and is not
    there. `store` is EVENT_STORE or KEY_STORE."""
    if not sqlite:
        rows.execute(_FOREIGN)
        for kind, name in rows.fetchall():
            yield Failure(f"{store} has a {kind} that is not the ledger's: {_shown(name)}")
        return
    rows.execute(_DEFINED)
    found = {tuple(row) for row in rows.fetchall()}
    made = _made()[store]
    for kind, name, *_ in sorted(found - made, key=repr):
        yield Failure(
            f"{store} has a {_shown(kind)} that is not the ledger's, or not as it made it: "
            f"{_shown(name)}"
        )
    there = {one[:2] for one in found}
    for kind, name, table, _ in sorted(made - found, key=repr):
        # A table's own indexes go with it.
        if (kind, name) not in there and (kind == "table" or ("table", table) in there):
            yield Failure(f"{store} lacks the {kind} {name}")


def discordant(rows: Answers, store: str) -> Iterator[Failure]:
    """Rows of a SQLite database that an index of their table does not have, or has otherwise, and
    whatever else is not as SQLite writes it."""
    rows.execute(f"PRAGMA integrity_check({_MOST})")
    for (line,) in rows.fetchall():
        if line == "ok":
            continue
        match = _ROW.fullmatch(line) if isinstance(line, str) else None
        position = None if match is None else int(match[1]) - 1
        yield Failure(
            f"{store} is not whole: a table and its index, or pages of its file, disagree "
            "(SQLite's integrity_check names them)",
            position,
        )


def _shown(name: object) -> str:
    """A name as it may be printed: whoever made it chose it."""
    return name if isinstance(name, str) and _PLAIN.fullmatch(name) else "(a name that is no name)"


@cache
def _made() -> dict[str, frozenset[tuple[Any, ...]]]:
    """What new stores hold: read from stores made for the purpose, so that it is never out of
    date."""
    with tempfile.TemporaryDirectory(prefix="hub-ledger-fsck-") as folder:
        events = Path(folder) / "events.sqlite"
        with closing(SqliteStore(events)) as store:
            store.create()
            with store.read() as rows:
                rows.execute(_DEFINED)
                made = frozenset(tuple(row) for row in rows.fetchall())
        with closing(SqliteDatabase(Path(folder) / "keys.sqlite")) as keys:
            KeyStore(keys, LocalKeyWrapper(bytes(32))).create()
            with keys.transaction() as cursor:
                cursor.execute(_DEFINED)
                return {EVENT_STORE: made, KEY_STORE: frozenset(map(tuple, cursor.fetchall()))}
