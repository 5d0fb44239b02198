"""The event store on SQLite (embedded default) and PostgreSQL (production)."""

from pathlib import Path

from ledger.database import is_postgres_url
from ledger.store.base import Store
from ledger.store.postgres import PostgresStore
from ledger.store.sqlite import SqliteStore

__all__ = ["PostgresStore", "SqliteStore", "Store", "open_store"]


def open_store(location: str) -> Store:
    """The store at a `postgresql://` URL or SQLite path; opens connections lazily."""
    return PostgresStore(location) if is_postgres_url(location) else SqliteStore(Path(location))
