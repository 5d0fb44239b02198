"""The event store as a target: an attack runs inside a transaction that is never committed.

`hub-ledger fsck` then looks at the tables through that same transaction. What is beside the event
store, the guard and the keys, is attacked in a copy of the data directory.
"""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import psycopg

from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.fsck import check_rows
from ledger.log.guard import Guard
from ledger.store import open_store
from ledger.store.records import SealedRow
from ledger.store.rows import Rows, id_bytes, select_sealed
from ledger.vault.keystore import KeyStore
from ledger.vault.sealing import associated_data, open_sealed, seal
from ledger.vault.wrapper import LocalKeyWrapper
from ledger_verifier.audit.report.model import Report
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.entry import link_hash
from ledger_verifier.formats.merkle import CompactRange, leaf_hashes
from tests.tamper.forge import Signing, cell_levels, root, stream_of
from tests.tamper.subject import Subject

#: Attacks after which PostgreSQL is told to tidy up.
VACUUM_EVERY = 40


class _UndoError(Exception):
    """Takes back whatever the transaction did."""


class DatabaseTarget:
    """A ledger's event store. `folder` is for the copy of its data directory."""

    def __init__(self, subject: Subject, folder: Path, name: str) -> None:
        self.name = name
        self._subject, self._staged = subject, 0
        self._store = open_store(subject.directory.database)
        path = folder / f"{self.name.lower().replace(', ', '-')}-copy"
        path.mkdir()
        for name in ("ledger.toml", "policy"):
            shutil.copy(subject.directory.path / name, path)
        shutil.copytree(subject.directory.keys_path, path / "keys")
        self._directory = replace(
            subject.directory, path=path, key_database=str(path / "keys" / "keys.sqlite")
        )
        self._files = {file: file.read_bytes() for file in (path / "keys").iterdir()}
        self._keys = KeyStore(
            open_database(subject.directory.key_database),
            LocalKeyWrapper(subject.directory.wrapping_key()),
        )

    def close(self) -> None:
        self._keys.close()
        self._store.close()

    @contextmanager
    def stage(self) -> Iterator["Stored"]:
        """The store, as it is found after every attack."""
        place = "rowid" if self._subject.directory.embedded else "notification_id"
        self._staged += 1
        if self._staged % VACUUM_EVERY == 0 and not self._subject.directory.embedded:
            # What was rolled back fills the tables, and makes every look at them longer.
            with psycopg.connect(self._subject.directory.database, autocommit=True) as session:
                session.execute("VACUUM")
        with suppress(_UndoError), self._store._write() as rows:
            try:
                yield Stored(self._subject, self._directory, rows, place, self._keys)
            finally:
                self._restore()
            raise _UndoError

    def _restore(self) -> None:
        """The files beside the store as they were."""
        for file in self._directory.keys_path.iterdir():
            if file not in self._files:
                file.unlink()
        for file, content in self._files.items():
            if not file.exists() or file.read_bytes() != content:
                file.write_bytes(content)


@dataclass(frozen=True, slots=True)
class Stored:
    """The tables, open for an attack. An entry's row has its position, plus one, in `place`."""

    subject: Subject
    directory: DataDirectory
    rows: Rows
    place: str
    keys: KeyStore

    @property
    def size(self) -> int:
        return len(self.subject.entries)

    @property
    def signing(self) -> Signing:
        return Signing.real(self.directory)

    def report(self) -> Report:
        raw = (self.directory.path / "policy").read_bytes()
        policy, digest = self.directory.policy(), sha256(raw).hexdigest()
        return check_rows(self.directory, self.rows, f"{self.place} - 1", policy, digest)

    def all(self, sql: str, *values: Any) -> list[Any]:
        self.rows.execute(sql, values)
        return [tuple(row) for row in self.rows.fetchall()]

    def run(self, sql: str, *values: Any) -> None:
        self.rows.execute(sql, values)

    def set_entry(self, position: int, raw: bytes) -> None:
        self.run(f"UPDATE entries SET state = ? WHERE {self.place} = ?", raw, position + 1)

    def set_columns(self, position: int, entry: dict[str, Any]) -> None:
        """The columns beside an entry as they belong to it."""
        self.run(
            "UPDATE entries SET originator_id = ?, originator_version = ?, topic = ?"
            f" WHERE {self.place} = ?",
            stream_of(entry),
            entry["stream"]["version"],
            entry["type"],
            position + 1,
        )

    def insert_entry(self, position: int, raw: bytes, version: int | None = None) -> None:
        """A row with its own columns, or another version where that one is taken."""
        entry = orjson.loads(raw)
        self.run(
            f"INSERT INTO entries ({self.place}, originator_id, originator_version, topic, state)"
            " VALUES (?, ?, ?, ?, ?)",
            position + 1,
            stream_of(entry),
            entry["stream"]["version"] if version is None else version,
            entry["type"],
            raw,
        )

    def shift(self, start: int, by: int, *, everywhere: bool = False) -> None:
        """Move entries from a position on; with `everywhere`, what refers to them too."""
        columns = [("entries", self.place, start + 1)]
        if everywhere:
            tables = ("sealed", "duplicates", "destroyed_keys")
            columns += [(table, "position", start) for table in tables]
        for table, column, first in columns:
            # By way of negative numbers, since no two rows may meet on the way.
            self.run(f"UPDATE {table} SET {column} = -({column}) - 1 WHERE {column} >= ?", first)
            self.run(f"UPDATE {table} SET {column} = -({column}) - 1 + ? WHERE {column} < 0", by)

    def set_leaf(self, position: int, raw: bytes) -> None:
        leaf = leaf_hashes([raw])[0]
        self.run("UPDATE cells SET hash = ? WHERE level = 0 AND idx = ?", leaf, position)

    def set_tree(self, entries: Sequence[bytes], signing: Signing) -> None:
        """Cells and head of a tree over these entries, signed."""
        self.run("DELETE FROM cells")
        cells = [
            (level, index, digest)
            for level, digests in enumerate(cell_levels(entries))
            for index, digest in enumerate(digests)
        ]
        self.rows.executemany("INSERT INTO cells (level, idx, hash) VALUES (?, ?, ?)", cells)
        self.set_head(entries, signing.issued(len(entries), root(entries)))

    def set_head(self, entries: Sequence[bytes], checkpoint: bytes) -> None:
        edge = CompactRange()
        edge.extend(leaf_hashes(entries))
        self.run(
            "UPDATE head SET size = ?, root = ?, edge = ?, checkpoint = ?, recorded_at = ?",
            len(entries),
            edge.root(),
            b"".join(edge.hashes),
            checkpoint,
            orjson.loads(entries[-1])["recorded_at"],
        )

    def set_entries(self, entries: Sequence[bytes]) -> None:
        """The bytes of every entry, with its columns and the heads of the streams."""
        before = dict(self.all(f"SELECT {self.place} - 1, state FROM entries"))
        heads = {}
        changed = [(p + 1,) for p, raw in enumerate(entries) if bytes(before[p]) != raw]
        # Out of the way first: on the way no two may be the same version of one stream.
        self.rows.executemany(
            "UPDATE entries SET originator_version = -originator_version - 1"
            f" WHERE {self.place} = ?",
            changed,
        )
        for position, raw in enumerate(entries):
            entry = orjson.loads(raw)
            heads[stream_of(entry)] = (entry["stream"]["version"], link_hash(raw))
            if bytes(before[position]) != raw:
                self.set_entry(position, raw)
                self.set_columns(position, entry)
        self.rows.executemany(
            "UPDATE stream_heads SET version = ?, link = ? WHERE stream = ?",
            [(version, link, stream) for stream, (version, link) in heads.items()],
        )

    def republish(self, entries: Sequence[bytes], signing: Signing) -> None:
        """Every publication again, over a tree of these entries."""
        for seq, size, at in self.all("SELECT seq, size, published_at FROM publications"):
            checkpoint = signing.published(size, root(entries[:size]), seconds(at))
            self.run("UPDATE publications SET checkpoint = ? WHERE seq = ?", checkpoint, seq)

    def forge(self, entries: Sequence[bytes]) -> None:
        """The whole log anew, signed by the real key, and the guard knows of no other."""
        self.rewrite(entries, self.signing, guard=True)

    def rewrite(self, entries: Sequence[bytes], signing: Signing, *, guard: bool) -> None:
        """The whole log anew and signed, as if it had never been another."""
        self.set_entries(entries)
        self.set_tree(entries, signing)
        self.republish(entries, signing)
        if guard:
            self.set_guard(signing.issued(len(entries), root(entries)))

    def set_guard(self, checkpoint: bytes) -> None:
        path = self.directory.guard_path
        path.unlink()
        Guard.create(path, checkpoint).close()

    def set_key_store(self, sql: str, *values: Any) -> None:
        """Change the key store."""
        with closing(sqlite3.connect(self.directory.key_database)) as connection, connection:
            connection.execute(sql, values)

    def sealed(self) -> list[SealedRow]:
        """Sealed rows, in order."""
        found = self.all("SELECT DISTINCT position FROM sealed ORDER BY position")
        return select_sealed(self.rows, [row[0] for row in found])

    def set_sealed(self, row: SealedRow) -> None:
        self.run(
            "UPDATE sealed SET key_id = ?, ciphertext = ? WHERE position = ? AND key_class = ?",
            id_bytes(row.key_id),
            row.ciphertext,
            row.position,
            row.key_class,
        )

    def opened(self, row: SealedRow) -> list[Disclosure]:
        """With the vault's keys: what a row holds."""
        return open_sealed(self._key(row), self._bound(row, self._entry(row)), row.ciphertext)

    def resealed(self, row: SealedRow, disclosures: Sequence[Disclosure]) -> SealedRow:
        """With the vault's keys: a row that holds something else."""
        bound_to = self._bound(row, self._entry(row))
        return replace(row, ciphertext=seal(self._key(row), bound_to, disclosures))

    def _entry(self, row: SealedRow) -> dict[str, Any]:
        entry: dict[str, Any] = orjson.loads(self.subject.entries[row.position])
        return entry

    def _key(self, row: SealedRow) -> bytes:
        return self.keys.keys([row.key_id])[row.key_id]

    def _bound(self, row: SealedRow, entry: dict[str, Any]) -> bytes:
        return associated_data(
            self.directory.origin, entry["source"], entry["id"], stream_of(entry), row.key_class
        )


def seconds(instant: str) -> int:
    """The POSIX second that an instant is in."""
    return int(datetime.fromisoformat(instant).timestamp())
