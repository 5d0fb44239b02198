"""The case index: the state of every case, folded from the log, for lists.

Guarantees: states and the position they reflect are written in one transaction, and only when the
position is still the one that was read, so that each entry is folded exactly once however many
projectors run; the state of a case equals a replay of its stream up to that position. A case that
has expired is dropped with the entry that says so, and is then in no file of the read models.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import orjson

from ledger.database import Cursor, Database, SqliteDatabase
from ledger.retention import ENDED
from ledger.store.base import Store
from ledger.store.records import StoredEntry
from ledger_verifier.formats import entry as entries
from ledger_verifier.meaning import case
from ledger_verifier.meaning.case import CaseState, fold
from ledger_verifier.meaning.expiry import STREAM_EXPIRED

#: The version of the fold: states made by another are not read, and are made anew.
PROJECTION: Final = "cases/v5"
BATCH: Final = 1000


class CaseIndex:
    """The projection's tables in one database. Methods block.

    States are kept in generations, of which one is live. A rebuild fills the next generation
    beside it and takes its place when it has caught up.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Whether something dropped may still be in the write-ahead log, as after another's end.
        self.unscrubbed = True

    def create(self) -> None:
        """Create what is missing. A projection holds nothing that the log does not."""
        with self._database.transaction() as rows:
            rows.execute(
                "CREATE TABLE IF NOT EXISTS case_states (generation BIGINT NOT NULL,"
                " case_id TEXT NOT NULL, hub TEXT NOT NULL, organisation TEXT NOT NULL,"
                " status TEXT NOT NULL, state TEXT NOT NULL,"
                " PRIMARY KEY (generation, case_id))"
            )
            rows.execute(
                "CREATE TABLE IF NOT EXISTS projections (generation BIGINT PRIMARY KEY,"
                " name TEXT NOT NULL, size BIGINT NOT NULL, live BIGINT NOT NULL)"
            )
            if self._live(rows) is None:
                self._begin(rows, live=True)

    def _live(self, rows: Cursor) -> tuple[int, int] | None:
        """Generation and size of what is live."""
        rows.execute(
            "SELECT generation, size FROM projections WHERE name = ? AND live = 1", (PROJECTION,)
        )
        row = rows.fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def _begin(self, rows: Cursor, *, live: bool) -> int:
        rows.execute("SELECT COALESCE(MAX(generation), 0) + 1 FROM projections")
        row = rows.fetchone()
        generation = 1 if row is None else int(row[0])
        rows.execute(
            "INSERT INTO projections (generation, name, size, live) VALUES (?, ?, 0, ?)",
            (generation, PROJECTION, int(live)),
        )
        return generation

    def size(self) -> int:
        """How many entries of the log the live states reflect."""
        with self._database.transaction() as rows:
            live = self._live(rows)
        return 0 if live is None else live[1]

    def step(self, store: Store, batch: int = BATCH, generation: int | None = None) -> int:
        """Fold up to `batch` further entries into a generation (None: the live one); returns how
        many (0: caught up). Raises ProjectionRaceError when another was doing the same."""
        with self._database.transaction() as rows:
            into, start = self._place(rows, generation)
            found = store.entries(start, batch)
            if not found:
                return 0
            changed: dict[str, CaseState] = {}
            expired = False
            for stored in found:
                kind, _, case_id = stored.stream.partition("/")
                expired = expired or stored.type == STREAM_EXPIRED
                if kind == "case":
                    state = changed.get(case_id) or self._state(rows, into, case_id)
                    changed[case_id] = fold(state, entries.decode(stored.raw))
            rows.executemany(
                "INSERT INTO case_states"
                " (generation, case_id, hub, organisation, status, state)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (generation, case_id)"
                " DO UPDATE SET status = excluded.status, state = excluded.state",
                [
                    (into, case_id, state.hub, state.organisation, state.status, _dump(state))
                    for case_id, state in changed.items()
                ],
            )
            rows.execute(
                "UPDATE projections SET size = ? WHERE generation = ? AND size = ? RETURNING size",
                (found[-1].position + 1, into, start),
            )
            if rows.fetchone() is None:
                raise ProjectionRaceError("another projector has moved on")
            if expired:
                self._drop_expired(rows, into, store)
                self.unscrubbed = True
        return len(found)

    def _drop_expired(self, rows: Cursor, generation: int, store: Store) -> None:
        """Drop the cases whose streams are no more. The entry that says so names no stream."""
        after = ""
        while True:
            rows.execute(
                "SELECT case_id FROM case_states WHERE generation = ? AND case_id > ?"
                " ORDER BY case_id LIMIT ?",
                (generation, after, BATCH),
            )
            ids = [str(row[0]) for row in rows.fetchall()]
            if not ids:
                return
            after = ids[-1]
            live = store.stream_heads([f"case/{case_id}" for case_id in ids])
            rows.executemany(
                "DELETE FROM case_states WHERE generation = ? AND case_id = ?",
                [(generation, one) for one in ids if f"case/{one}" not in live],
            )

    def scrub(self) -> None:
        """Leave nothing of what was dropped in the write-ahead log; tried again while a reader is
        in the way."""
        database = self._database
        if self.unscrubbed:
            emptied = not isinstance(database, SqliteDatabase) or database.truncate_log()
            self.unscrubbed = not emptied

    def _place(self, rows: Cursor, generation: int | None) -> tuple[int, int]:
        """The generation to fold into, and the position it has come to."""
        if generation is None:
            live = self._live(rows)
            if live is None:
                raise ProjectionRaceError("the projection has not been created")
            return live
        rows.execute("SELECT size FROM projections WHERE generation = ?", (generation,))
        row = rows.fetchone()
        if row is None:
            raise ProjectionRaceError("another rebuild has taken over")
        return generation, int(row[0])

    def rebuild(
        self,
        store: Store,
        progress: Callable[[int, int], None] | None = None,
        batch: int = BATCH,
    ) -> int:
        """Fold the whole log anew beside the live states, then take their place; returns how many
        entries that was. Readers see the old states until they see the new. What an abandoned
        rebuild left is removed first."""
        with self._database.transaction() as rows:
            self._drop(rows, "live = 0")
            generation = self._begin(rows, live=False)
        while True:
            step = self.step(store, batch, generation)
            with self._database.transaction() as rows:
                live, (_, size) = self._live(rows), self._place(rows, generation)
                target = size if live is None else live[1]
                if step == 0 or size >= target:
                    rows.execute("UPDATE projections SET live = 0 WHERE live = 1")
                    rows.execute(
                        "UPDATE projections SET live = 1 WHERE generation = ?", (generation,)
                    )
                    self._drop(rows, "live = 0")
                    return size
            if progress is not None:
                progress(size, target)

    def _drop(self, rows: Cursor, which: str) -> None:
        rows.execute(
            f"DELETE FROM case_states WHERE generation IN"
            f" (SELECT generation FROM projections WHERE {which})"
        )
        rows.execute(f"DELETE FROM projections WHERE {which}")

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all live states in order of case id."""
        digest = hashlib.sha256()
        with self._database.transaction() as rows:
            rows.execute(
                "SELECT s.case_id, s.state FROM case_states s JOIN projections p"
                " ON s.generation = p.generation WHERE p.live = 1 AND p.name = ?"
                " ORDER BY s.case_id",
                (PROJECTION,),
            )
            for case_id, state in rows.fetchall():
                digest.update(f"{case_id} {state}\n".encode())
        return digest.hexdigest()

    def _state(self, rows: Cursor, generation: int, case_id: str) -> CaseState | None:
        rows.execute(
            "SELECT state FROM case_states WHERE generation = ? AND case_id = ?",
            (generation, case_id),
        )
        row = rows.fetchone()
        return None if row is None else CaseState.from_json(orjson.loads(row[0]))

    def state(self, case_id: str) -> CaseState | None:
        """The state of one case as of `size`."""
        with self._database.transaction() as rows:
            live = self._live(rows)
            return None if live is None else self._state(rows, live[0], case_id)

    def live_by_hub(self) -> dict[str, int]:
        """How many cases of each hub have not ended."""
        ended = sorted(ENDED)
        with self._database.transaction() as rows:
            rows.execute(
                "SELECT s.hub, COUNT(*) FROM case_states s JOIN projections p"
                " ON s.generation = p.generation WHERE p.live = 1 AND p.name = ?"
                f" AND s.status NOT IN ({','.join('?' * len(ended))}) GROUP BY s.hub",
                [PROJECTION, *ended],
            )
            return {str(hub): int(count) for hub, count in rows.fetchall()}

    def page(
        self,
        hubs: Collection[str] | None,
        organisation: str | None,
        after: str | None,
        limit: int,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Up to `limit` cases of these hubs and this organisation (None: all) after a case id, as
        stream, hub and status, and the next cursor."""
        clauses = ["p.live = 1", "p.name = ?", "s.case_id > ?"]
        params: list[Any] = [PROJECTION, after or ""]
        if hubs is not None:
            if not hubs:
                return [], None
            clauses.append(f"s.hub IN ({','.join('?' * len(hubs))})")
            params += sorted(hubs)
        if organisation is not None:
            clauses.append("s.organisation = ?")
            params.append(organisation)
        with self._database.transaction() as rows:
            rows.execute(
                "SELECT s.case_id, s.hub, s.status FROM case_states s JOIN projections p"
                f" ON s.generation = p.generation WHERE {' AND '.join(clauses)}"
                " ORDER BY s.case_id LIMIT ?",
                [*params, limit + 1],
            )
            found = rows.fetchall()
        page = [
            {"stream": f"case/{row[0]}", "hub": row[1], "status": row[2]} for row in found[:limit]
        ]
        return page, found[limit - 1][0] if len(found) > limit else None


class ProjectionRaceError(Exception):
    """Two projectors met; the one that raises this has changed nothing."""


def _dump(state: CaseState) -> str:
    return orjson.dumps(state.to_json(), option=orjson.OPT_SORT_KEYS).decode()


def replay(stored: Sequence[StoredEntry]) -> CaseState:
    """The state that a case's entries leave it in."""
    return case.replay(entries.decode(one.raw) for one in stored)
