"""Stores, guards and key databases that fail once, at a named step, before it or after it.

A step that fails *after* it has persisted something is the harder half of the matrix: whoever is
told of the failure must not conclude that nothing happened. Steps are named after what they do:
`begin`, `select head`, `insert entries`, `commit`, `guard`, `scrub`, `reply`; those of the key
store begin with `keys`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from ledger.database import Cursor, SqliteDatabase, is_postgres_url
from ledger.log.guard import Guard
from ledger.postgresql import PostgresDatabase
from ledger.store import SqliteStore, Store
from ledger.store.postgres import PostgresStore
from ledger.store.rows import Rows

When = Literal["before", "after"]
_STATEMENT: Final = re.compile(
    r"(?:(INSERT) INTO|(DELETE) FROM|(UPDATE)|(SELECT)\b.*?\bFROM) (\w+)|(NOTIFY)"
    r"|SELECT (set_config)|(SET) (TRANSACTION|LOCAL)"
)


class Broken(OSError):
    """What an injected fault raises, as a disk or a network would."""


class Fault:
    """Where to fail, once. It does nothing until it is armed."""

    def __init__(self) -> None:
        self._step, self._when = "", "before"
        self.fired = False

    def arm(self, step: str, when: When) -> None:
        self._step, self._when, self.fired = step, when, False

    def at(self, step: str, when: When) -> None:
        """Fail if this is where."""
        if not self.fired and (step, when) == (self._step, self._when):
            self.fired = True
            raise Broken(f"injected {when} {step}")


def step_of(sql: str) -> str:
    """The name of a statement as a step: its verb and its table."""
    found = _STATEMENT.search(sql)
    assert found is not None, sql
    return " ".join(part.lower() if part.isupper() else part for part in found.groups() if part)


class FaultyRows:
    """A cursor of either database whose statements are steps."""

    def __init__(self, rows: Rows | Cursor, fault: Fault, prefix: str = "") -> None:
        self._rows, self._fault, self._prefix = rows, fault, prefix
        self.last = ""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        self._step(sql, lambda: self._rows.execute(sql, params))

    def executemany(self, sql: str, params: Sequence[Sequence[Any]]) -> None:
        if params:
            self._step(sql, lambda: self._rows.executemany(sql, params))

    def _step(self, sql: str, run: Callable[[], object]) -> None:
        step = self._prefix + step_of(sql)
        self._fault.at(step, "before")
        run()
        self.last = step
        self._fault.at(step, "after")

    def fetchone(self) -> Any:
        return self._rows.fetchone()

    def fetchall(self) -> Any:
        return self._rows.fetchall()


@contextmanager
def _transaction(opened: AbstractContextManager[Rows], fault: Fault) -> Iterator[Rows]:
    fault.at("begin", "before")
    with opened as rows:
        fault.at("begin", "after")
        yield FaultyRows(rows, fault)
        fault.at("commit", "before")
    fault.at("commit", "after")


class FaultySqliteStore(SqliteStore):
    def __init__(self, path: Path, fault: Fault) -> None:
        super().__init__(path)
        self._fault = fault

    @contextmanager
    def _write(self) -> Iterator[Rows]:
        with _transaction(super()._write(), self._fault) as rows:
            yield rows

    def scrub(self, *, expired: bool = False) -> bool:
        self._fault.at("scrub", "before")
        done = super().scrub(expired=expired)
        self._fault.at("scrub", "after")
        return done


class FaultyPostgresStore(PostgresStore):
    def __init__(self, url: str, fault: Fault) -> None:
        super().__init__(url)
        self._fault = fault

    @contextmanager
    def _write(self) -> Iterator[Rows]:
        with _transaction(super()._write(), self._fault) as rows:
            yield rows

    @contextmanager
    def _publishing(self) -> Iterator[Rows]:
        with _transaction(super()._publishing(), self._fault) as rows:
            yield rows

    def scrub(self, *, expired: bool = False) -> bool:
        self._fault.at("scrub", "before")
        done = super().scrub(expired=expired)
        self._fault.at("scrub", "after")
        return done


def faulty_store(location: str, fault: Fault) -> Store:
    """The store at a location, failing where the fault says."""
    if is_postgres_url(location):
        return FaultyPostgresStore(location, fault)
    return FaultySqliteStore(Path(location), fault)


class FaultyGuard(Guard):
    def __init__(self, path: Path, fault: Fault) -> None:
        super().__init__(path)
        self._fault = fault

    def write(self, checkpoint: bytes) -> None:
        self._fault.at("guard", "before")
        super().write(checkpoint)
        self._fault.at("guard", "after")


@contextmanager
def _key_transaction(opened: AbstractContextManager[Cursor], fault: Fault) -> Iterator[Cursor]:
    with opened as cursor:
        rows = FaultyRows(cursor, fault, "keys ")
        yield rows
        # Named after the last thing it did, for a transaction may also only have read.
        fault.at(f"commit of {rows.last}", "before")
    fault.at(f"commit of {rows.last}", "after")


class FaultySqliteDatabase(SqliteDatabase):
    def __init__(self, path: Path, fault: Fault) -> None:
        super().__init__(path)
        self._fault = fault

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        with _key_transaction(super().transaction(), self._fault) as rows:
            yield rows

    def truncate_log(self) -> bool:
        self._fault.at("keys truncate", "before")
        done = super().truncate_log()
        self._fault.at("keys truncate", "after")
        return done


class FaultyPostgresDatabase(PostgresDatabase):
    def __init__(self, url: str, fault: Fault) -> None:
        super().__init__(url)
        self._fault = fault

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        with _key_transaction(super().transaction(), self._fault) as rows:
            yield rows


def faulty_database(location: str, fault: Fault) -> SqliteDatabase | PostgresDatabase:
    """The key database at a location, failing where the fault says."""
    if is_postgres_url(location):
        return FaultyPostgresDatabase(location, fault)
    return FaultySqliteDatabase(Path(location), fault)
