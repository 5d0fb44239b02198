"""`hub-ledger scrub`: what erasures and expiries deleted, out of the files of the databases.

Guarantees: what is said to be done was looked at afterwards; what could not be done is said, with
the reason and what to do; nothing that is in force is changed. The service may go on meanwhile: no
table is held for longer than was allowed.
"""

from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg

from ledger.config import DataDirectory
from ledger.database import is_postgres_url
from ledger.errors import ConfigurationError
from ledger.scrubbing import embedded, postgres
from ledger.scrubbing.report import Scrubbed
from ledger.store import open_store
from ledger.store.postgres import OF_STREAMS

__all__ = ["Scrubbed", "scrub"]

#: Tables of the event store that an erasure deletes from; an expiry deletes from OF_STREAMS.
OF_ERASURES: Final = ("sealed",)
#: Beside them, what holds the names of streams: read models, and who opened what.
BESIDE: Final = ("case_states", "openings")
#: Tables of the key store that either deletes from.
OF_KEYS: Final = ("stream_keys", "staff_map")


def scrub(directory: DataDirectory, seconds: float) -> Scrubbed:
    """Scrub the databases of a ledger, holding no table for longer than that (0: for as long as it
    takes). Raises ConfigurationError when one is missing, or one of `database_errors()`."""
    scrubbed = Scrubbed()
    places = (directory.database, directory.key_database)
    for location in places:
        if not is_postgres_url(location) and not Path(location).is_file():
            raise ConfigurationError(f"There is no database at {location}.")
    with closing(open_store(directory.database)) as store:
        expired = store.expired_through() > 0
    tables = (*OF_STREAMS, *BESIDE) if expired else OF_ERASURES
    for location, some in zip(places, (tables, OF_KEYS), strict=True):
        if is_postgres_url(location):
            postgres.rewrite(location, some, seconds, scrubbed)
    # After the last table that is rewritten, and once for each server.
    for location in _servers([one for one in places if is_postgres_url(one)]):
        postgres.turn_over(location, scrubbed)
    for location in {*places, directory.access_database, directory.projections_database}:
        if not is_postgres_url(location) and Path(location).is_file():
            embedded.scrub(Path(location), scrubbed)
    return scrubbed


def _servers(locations: list[str]) -> list[str]:
    """One location for each server."""
    found: dict[object, str] = {}
    for location in locations:
        with closing(psycopg.connect(location, connect_timeout=10)) as connection:
            row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
        found.setdefault(row, location)
    return list(found.values())
