"""Creating a ledger: once, whole, and never over another.

Guarantees: a new log opens with `ledger.opened` and the registration of every type in one
transaction, so that a tree of size 1 is never seen; its guard and first publication exist before
the directory is declared ready. A directory or database that holds a ledger is left untouched.
A replica joins a log that the directory it is made from has vouched for, and no other.
"""

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from ledger import config
from ledger.database import Database, is_postgres_url, open_database
from ledger.errors import ConfigurationError
from ledger.log.clock import Clock, instant
from ledger.log.genesis import opening
from ledger.log.guard import Guard, remembered
from ledger.log.messages import Committed
from ledger.log.publisher import Publisher
from ledger.log.sequencer import Sequencer
from ledger.projections.cases import CaseIndex
from ledger.store import open_store
from ledger.tokens import TokenStore
from ledger.vault.keepers import open_wrapper
from ledger.vault.keystore import KeyStore


def initialise(
    data: Path,
    *,
    origin: str = config.DEFAULT_ORIGIN,
    database: str | None = None,
    key_database: str | None = None,
    publish_seconds: float = config.DEFAULT_PUBLISH_SECONDS,
    goes_on_for: Callable[[config.SigningKeys], dict[str, Any]] | None = None,
) -> config.DataDirectory:
    """Create a ledger, which `goes_on_for` another if it describes that to the new log's keys;
    raises ConfigurationError when one is there, or when its database cannot be used."""
    if database is not None:
        _check_is_empty(database)
    if key_database is not None and key_database == database:
        raise ConfigurationError(
            "The key store must be in another database than the log, with backups of its own: a "
            "backup of both would bring back what was erased."
        )
    directory = config.create(
        data,
        origin=origin,
        database=database,
        key_database=key_database,
        publish_seconds=publish_seconds,
    )
    _create_side_stores(directory)
    keys = directory.signing_keys()
    clock = Clock()
    store = open_store(directory.database)
    try:
        store.create()
        # A crash before this commit leaves a database without a head, which nothing will serve.
        sequencer = Sequencer(store, keys.ed25519, directory.origin, clock, guard=None)
        predecessor = None if goes_on_for is None else goes_on_for(keys)
        events = opening(directory.origin, keys, instant(clock.now()), predecessor)
        outcome = sequencer.append([events])[0]
        if not isinstance(outcome, Committed):
            raise ConfigurationError("The opening of the log was refused.")
        Guard.create(directory.guard_path, outcome.checkpoint).close()
        head = sequencer.check_start()
        Publisher(store, keys, clock, publish_seconds).publish(head)
    finally:
        store.close()
    return directory


def join(data: Path, source_path: Path) -> config.DataDirectory:
    """Make the data directory of one more replica from that of another, or a copy of it: the same
    keys, policy and databases, and a guard of its own. The log is checked first, as at every
    start, against what the source's guard remembers.

    Raises ConfigurationError when the ledger's databases are not on PostgreSQL, where alone they
    can be shared, VaultUnavailable when the source has no wrapping key to use, and IntegrityAlarm
    when the log is not the one the source has vouched for.
    """
    source = config.load(source_path)
    if source.embedded or not is_postgres_url(source.key_database):
        raise ConfigurationError(
            "Replicas share their databases: both the log and the key store of a replica must be "
            "on PostgreSQL (init with --database and --key-database)."
        )
    with closing(open_database(source.key_database)) as key_database:
        KeyStore(key_database, open_wrapper(source)).check_wrapping()
    vouched_for = _checked_head(source)
    config.lay_out_replica(data, source)
    Guard.create(data / "keys" / "guard", vouched_for).close()
    # A crash before this leaves a directory that nothing will serve.
    return config.make_ready(data, source)


def _checked_head(source: config.DataDirectory) -> bytes:
    """The signed head of a ledger, checked as its own writer would at a start. The source's guard
    is only read: a service may be writing to it."""
    signer = source.signing_keys().ed25519
    known = remembered(source.guard_path)
    with (
        tempfile.TemporaryDirectory(prefix="hub-ledger-") as folder,
        closing(Guard.create(Path(folder) / "guard", known)) as guard,
        closing(open_store(source.database)) as store,
    ):
        Sequencer(store, signer, source.origin, Clock(), guard).check_start()
        return guard.checkpoint


def _check_is_empty(database: str) -> None:
    """Look before anything is laid out: a database that is unreachable, or holds a ledger."""
    if not is_postgres_url(database):
        raise ConfigurationError(
            "--database takes a postgresql:// URL; without it the ledger is on SQLite."
        )
    import psycopg

    from ledger.store.postgres import holds_log

    try:
        with closing(psycopg.connect(database, connect_timeout=10)) as connection:
            there = holds_log(connection)
    except psycopg.Error as error:
        raise ConfigurationError(
            "The database cannot be reached. Check the URL, and that it accepts connections."
        ) from error
    if there:
        raise ConfigurationError("There is a ledger in this database already.")


def _create_side_stores(directory: config.DataDirectory) -> None:
    key_database = open_database(directory.key_database)
    access, read_models = _open_both(directory)
    try:
        KeyStore(key_database, open_wrapper(directory)).create()
        TokenStore(access).create_table()
        CaseIndex(read_models).create()
    finally:
        for database in (key_database, access, read_models):
            database.close()


def _open_both(directory: config.DataDirectory) -> tuple[Database, Database]:
    return (
        open_database(directory.access_database),
        open_database(directory.projections_database),
    )
