"""The key store as fsck reads it: never made, never changed, never trusted.

Guarantees: whatever is where the key store should be, what leaves this module is a stored key, or
a `KeyStoreError` whose message is fit for a report. No transaction is held from one look to the
next, so that an erasure can empty the key store's write-ahead log meanwhile.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.database import Cursor, Database, database_errors, is_postgres_url, open_database
from ledger.errors import VaultUnavailable
from ledger.vault.wrapped import Wrapping
from ledger.vault.wrapper import KeyWrapper
from ledger_verifier.audit.report.model import Failure

#: Keys read together.
_PAGE = 500


class KeyStoreError(Exception):
    """The key store cannot be read, or is none."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is stored: for which stream and class, and the key itself (None when it does not
    open under the wrapping key)."""

    key_id: str
    stream: str
    key_class: str
    key: bytes | None


@dataclass(frozen=True, slots=True)
class StoredStaff:
    """A row of the staff map as it is stored."""

    reference: str
    key_id: str
    sealed: bytes


class Vault:
    """The key store at a `postgresql://` URL or SQLite path, opened at the first look."""

    def __init__(self, location: str, wrapper: KeyWrapper) -> None:
        self._location, self._wrapper = location, wrapper
        self._database: Database | None = None
        self._wrapping: Wrapping | None = None
        self._closed: str | None = None

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def find(self, key_id: str) -> StoredKey | None:
        """A key by its id; None when it is not there. Raises KeyStoreError."""
        found = self._select(
            "SELECT key_id, stream, key_class, wrapped FROM stream_keys WHERE key_id = ?", key_id
        )
        return self._stored(found)[0] if found else None

    def find_all(self, key_ids: Collection[str]) -> dict[str, StoredKey | None]:
        """Keys by their ids, None for those that are not there, unwrapped together. Raises
        KeyStoreError."""
        wanted, found = sorted(key_ids), dict[str, StoredKey | None].fromkeys(key_ids)
        for start in range(0, len(wanted), _PAGE):
            group = wanted[start : start + _PAGE]
            page = self._select(
                "SELECT key_id, stream, key_class, wrapped FROM stream_keys"
                f" WHERE key_id IN ({','.join('?' * len(group))})",
                *group,
            )
            found.update((stored.key_id, stored) for stored in self._stored(page))
        return found

    def all(self) -> Iterator[StoredKey]:
        """Every key, in pages. Raises KeyStoreError."""
        (without,) = self._select("SELECT COUNT(*) FROM stream_keys WHERE key_id IS NULL")
        if without[0]:
            raise KeyStoreError("the key store holds keys without an id")
        after: Any = ""
        while True:
            page = self._select(
                "SELECT key_id, stream, key_class, wrapped FROM stream_keys WHERE key_id > ?"
                f" ORDER BY key_id LIMIT {_PAGE}",
                after,
            )
            yield from self._stored(page)
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def staff(self) -> Iterator[list[StoredStaff]]:
        """The staff map, in pages. Raises KeyStoreError."""
        after = ""
        while True:
            page = self._select(
                "SELECT reference, key_id, sealed FROM staff_map WHERE reference > ?"
                f" ORDER BY reference LIMIT {_PAGE}",
                after,
            )
            if not all(_is_staff(row) for row in page):
                raise KeyStoreError("the staff map holds what is no row of it")
            yield [StoredStaff(row[0], row[1], bytes(row[2])) for row in page]
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def applied_through(self) -> int:
        """The tree size through which every erasure has been carried out. Raises KeyStoreError."""
        found = self._select("SELECT applied_through FROM vault_state")
        if len(found) != 1:
            raise KeyStoreError(f"the key store has {len(found)} rows of state instead of one")
        through = found[0][0]
        if type(through) is not int or through < 0:
            raise KeyStoreError("the key store does not say through which entry it has erased")
        return through

    @property
    def embedded(self) -> bool:
        """Whether the key store is a SQLite file."""
        return not is_postgres_url(self._location)

    def ask(self, question: Callable[[Cursor], Iterator[Failure]]) -> list[Failure]:
        """Put a question about the key store itself. Raises KeyStoreError."""
        with self._rows() as rows:
            return list(question(rows))

    def _select(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._rows() as rows:
            rows.execute(sql, values)
            return rows.fetchall()

    @contextmanager
    def _rows(self) -> Iterator[Cursor]:
        if self._closed is None and self._database is None:
            self._closed = self._open()
        if self._database is None:
            raise KeyStoreError(self._closed)
        try:
            with self._database.transaction() as rows:
                yield rows
        except database_errors() as error:
            reason = f"the key store cannot be read: {type(error).__name__}"
            raise KeyStoreError(reason) from error

    def _open(self) -> str | None:
        """Open the database; returns why it cannot be opened, which is not tried again."""
        if not is_postgres_url(self._location):
            path = Path(self._location)
            # Opening makes a database where there is none.
            if not path.is_file():
                return "the key store is missing"
            if path.stat().st_size == 0:
                return "the key store is an empty file"
        try:
            if is_postgres_url(self._location):
                import psycopg

                # A pool of connections tries again and again, and says less of why.
                psycopg.connect(self._location, connect_timeout=10).close()
            self._database = open_database(self._location)
        except database_errors() as error:
            return f"the key store cannot be opened: {type(error).__name__}"
        return None

    def _stored(self, found: list[tuple[Any, ...]]) -> list[StoredKey]:
        """Keys as they are stored, unwrapped together."""
        wrapped = {
            key_id: bytes(raw)
            for key_id, _, _, raw in found
            if isinstance(key_id, str) and isinstance(raw, bytes | memoryview)
        }
        keys = self._unwrap(wrapped)
        return [
            StoredKey(str(key_id), str(stream), str(key_class), keys.get(key_id))
            for key_id, stream, key_class, _ in found
        ]

    def _unwrap(self, wrapped: dict[str, bytes]) -> dict[str, bytes]:
        if self._wrapping is None:
            assert self._database is not None
            self._wrapping = Wrapping(self._database, self._wrapper)
        try:
            return self._wrapping.unwrap_what_opens(wrapped)
        except VaultUnavailable as error:
            raise KeyStoreError(f"the keys cannot be unwrapped: {error.detail}") from error
        except database_errors() as error:
            reason = f"the key store cannot be read: {type(error).__name__}"
            raise KeyStoreError(reason) from error


def _is_staff(row: tuple[Any, ...]) -> bool:
    reference, key_id, sealed = row
    return (
        isinstance(reference, str)
        and isinstance(key_id, str)
        and isinstance(sealed, bytes | memoryview)
    )
