"""The event store on SQLite (embedded default) and PostgreSQL (production)."""

from pathlib import Path

from ledger.database import is_postgres_url
from ledger.store.base import Store
from ledger.store.sqlite import SqliteStore

__all__ = ["SqliteStore", "Store", "open_store"]


def open_store(location: str) -> Store:
    """The store at a `postgresql://` URL or SQLite path; opens connections lazily."""
    if is_postgres_url(location):
        # As in `open_database`: a ledger on SQLite never loads the driver.
        from ledger.store.postgres import PostgresStore

        return PostgresStore(location)
    return SqliteStore(Path(location))
