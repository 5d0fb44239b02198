"""(b): what else could be done on this machine, for scale.

PostgreSQL with a trigger-maintained SHA-256 chain and 8 clients (durable commit for each event, no
signature, no receipt), and the eventsourcing library by itself on SQLite in its own defaults (no
signature, no chain). pymerkle is under the GPL and so never among this project's dependencies: it
is measured only when it can be imported from the folder that BENCH_PYMERKLE names.
"""

import importlib
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from uuid import uuid4

import psycopg
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from bench.result import Row

CLIENTS = 8
PAYLOAD = b"x" * 900

_CHAIN = """
CREATE TABLE chain (id bigserial PRIMARY KEY, event bytea NOT NULL, hash bytea);
CREATE FUNCTION link() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE before bytea;
BEGIN
    PERFORM pg_advisory_xact_lock(42);
    SELECT hash INTO before FROM chain ORDER BY id DESC LIMIT 1;
    NEW.hash := sha256(coalesce(before, ''::bytea) || NEW.event);
    RETURN NEW;
END $$;
CREATE TRIGGER link BEFORE INSERT ON chain FOR EACH ROW EXECUTE FUNCTION link();
"""


def chain_row(database: str, events: int) -> Row:
    """A hash chain kept by a trigger, one durable commit for each event, 8 clients."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(_CHAIN)

    def client() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            for _ in range(events // CLIENTS):
                connection.execute("INSERT INTO chain (event) VALUES (%s)", (PAYLOAD,))

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = events / (time.perf_counter() - start)
    return Row("PostgreSQL, trigger hash chain, 8 clients, unsigned", rate, "events/s")


def eventsourcing_row(events: int) -> Row:
    """The library alone, one event for each durable transaction."""
    with tempfile.TemporaryDirectory(prefix="hub-ledger-bench-") as folder:
        store = SQLiteDatastore(str(Path(folder) / "events.sqlite"), originator_id_type="text")
        recorder = SQLiteApplicationRecorder(store)
        recorder.create_table()
        start = time.perf_counter()
        for _ in range(events):
            recorder.insert_events([StoredEvent(f"case/{uuid4()}", 1, "a.b", PAYLOAD)])
        rate = events / (time.perf_counter() - start)
        store.close()
    return Row("eventsourcing alone, SQLite, one at a time, unsigned", rate, "events/s")


def pymerkle_row(events: int) -> Row | None:
    """pymerkle on SQLite, if somebody has put it where BENCH_PYMERKLE says."""
    folder = os.environ.get("BENCH_PYMERKLE")
    if not folder:
        return None
    sys.path.insert(0, folder)
    module = importlib.import_module("pymerkle")
    with tempfile.TemporaryDirectory(prefix="hub-ledger-bench-") as place:
        tree = module.SqliteTree(str(Path(place) / "tree.sqlite"), algorithm="sha256")
        start = time.perf_counter()
        for _ in range(events):
            tree.append_entry(PAYLOAD)
        rate = events / (time.perf_counter() - start)
    return Row("pymerkle, SQLite, one at a time, unsigned", rate, "events/s")
