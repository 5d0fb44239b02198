"""The case index: the state of every case, folded from the log, for lists.

Guarantees: states and the position they reflect are written in one transaction, and only when the
position is still the one that was read, so that each entry is folded exactly once however many
projectors run; the state of a case equals a replay of its stream up to that position.
"""

from collections.abc import Collection
from typing import Any, Final

import orjson

from ledger.database import Cursor, Database
from ledger.store.base import Store
from ledger_verifier.formats import entry as entries
from ledger_verifier.meaning.case import CaseState, fold

#: The version of the tables: a new fold writes new tables beside the old.
TABLE: Final = "case_state_v1"
PROJECTION: Final = "cases/v1"
BATCH: Final = 1000


class CaseIndex:
    """The projection's tables in one database. Methods block."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self) -> None:
        """Create what is missing. A projection holds nothing that the log does not."""
        with self._database.transaction() as rows:
            rows.execute(
                f"CREATE TABLE IF NOT EXISTS {TABLE} (case_id TEXT PRIMARY KEY, hub TEXT NOT NULL,"
                " state TEXT NOT NULL)"
            )
            rows.execute(
                "CREATE TABLE IF NOT EXISTS projections (name TEXT PRIMARY KEY,"
                " size BIGINT NOT NULL)"
            )
            rows.execute(
                "INSERT INTO projections (name, size) VALUES (?, 0) ON CONFLICT (name) DO NOTHING",
                (PROJECTION,),
            )

    def size(self) -> int:
        """How many entries of the log are reflected."""
        with self._database.transaction() as rows:
            return self._size(rows)

    def _size(self, rows: Cursor) -> int:
        rows.execute("SELECT size FROM projections WHERE name = ?", (PROJECTION,))
        row = rows.fetchone()
        return 0 if row is None else int(row[0])

    def step(self, store: Store, batch: int = BATCH) -> int:
        """Fold up to `batch` further entries; returns how many (0: caught up)."""
        with self._database.transaction() as rows:
            start = self._size(rows)
            found = store.entries(start, batch)
            if not found:
                return 0
            changed: dict[str, CaseState] = {}
            for stored in found:
                kind, _, case_id = stored.stream.partition("/")
                if kind == "case":
                    state = changed.get(case_id) or self._state(rows, case_id)
                    changed[case_id] = fold(state, entries.decode(stored.raw))
            for case_id, state in changed.items():
                rows.execute(
                    f"INSERT INTO {TABLE} (case_id, hub, state) VALUES (?, ?, ?)"
                    " ON CONFLICT (case_id) DO UPDATE SET state = excluded.state",
                    (case_id, state.hub, _dump(state)),
                )
            rows.execute(
                "UPDATE projections SET size = ? WHERE name = ? AND size = ? RETURNING size",
                (start + len(found), PROJECTION, start),
            )
            if rows.fetchone() is None:
                raise ProjectionRaceError("another projector has moved on")
        return len(found)

    def _state(self, rows: Cursor, case_id: str) -> CaseState | None:
        rows.execute(f"SELECT state FROM {TABLE} WHERE case_id = ?", (case_id,))
        row = rows.fetchone()
        return None if row is None else CaseState.from_json(orjson.loads(row[0]))

    def state(self, case_id: str) -> CaseState | None:
        """The state of one case as of `size`."""
        with self._database.transaction() as rows:
            return self._state(rows, case_id)

    def page(
        self, hubs: Collection[str] | None, after: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Up to `limit` cases of these hubs (None: all) after a case id, and the next cursor."""
        clauses, params = ["case_id > ?"], [after or ""]
        if hubs is not None:
            if not hubs:
                return [], None
            clauses.append(f"hub IN ({','.join('?' * len(hubs))})")
            params += sorted(hubs)
        with self._database.transaction() as rows:
            rows.execute(
                f"SELECT case_id, state FROM {TABLE} WHERE {' AND '.join(clauses)}"
                " ORDER BY case_id LIMIT ?",
                [*params, limit + 1],
            )
            found = rows.fetchall()
        page = [orjson.loads(row[1]) for row in found[:limit]]
        return page, found[limit - 1][0] if len(found) > limit else None


class ProjectionRaceError(Exception):
    """Two projectors met; the one that raises this has changed nothing."""


def _dump(state: CaseState) -> str:
    return orjson.dumps(state.to_json(), option=orjson.OPT_SORT_KEYS).decode()
