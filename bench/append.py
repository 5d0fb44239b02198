"""(a), (e) and (f): recording over HTTP, bytes on disk, and what a growing log does to both.

Every figure: real processes, sealed fields, Ed25519-signed checkpoint each group commit, receipt in
the reply; SQLite in WAL mode with synchronous=FULL, PostgreSQL with its default durable commit.
"""

import sqlite3
import statistics
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from bench.load import Load
from bench.result import Row
from bench.service import (
    BATCH,
    STRUCTURED,
    Service,
    batches,
    load,
    noop,
    served,
    simulated,
    singles,
)

ROUNDS = 3


def append_rows(database: str | None, events: int, rounds: int = ROUNDS) -> list[Row]:
    """Single events with 64 and 256 clients, and batches of 100, beside the no-op handler, in
    rounds that take turns."""
    store = "SQLite FULL" if database is None else "PostgreSQL"
    source = simulated()
    runs: dict[str, list[Load]] = {}
    with served(database) as service, noop() as yardstick:
        _single(service, source, events // 4, 64)
        for _ in range(rounds):
            runs.setdefault("one, 64 clients", []).append(_single(service, source, events, 64))
            runs.setdefault("no-op, 64 clients", []).append(
                load(yardstick, service.token, STRUCTURED, singles(simulated(), events), 64)
            )
            runs.setdefault("one, 256 clients", []).append(_single(service, source, events, 256))
            bulk = batches(source, max(8, events // 100), 100)
            runs.setdefault("batches of 100, 4 clients", []).append(
                load(service.port, service.token, BATCH, bulk, 4)
            )
    base = _rate(runs["no-op, 64 clients"])
    rows = []
    for name, loads in runs.items():
        each = 100 if "batches" in name else 1
        rate = _rate(loads) * each
        rows.append(Row(f"append {store}: {name}", rate, "events/s", rate / base, "no-op handler"))
        if each == 1:
            for part in ("p50", "p99"):
                worst = statistics.median(getattr(one, part) for one in loads)
                rows.append(Row(f"append {store}: {name}, {part}", worst, "ms"))
    return rows


def _single(service: Service, source: Iterator[dict[str, Any]], events: int, clients: int) -> Load:
    return load(service.port, service.token, STRUCTURED, singles(source, events), clients)


def _rate(loads: list[Load]) -> float:
    return statistics.median(one.requests / one.seconds for one in loads)


def growth_rows(sizes: list[int]) -> list[Row]:
    """The rate of batches of 100 as the log grows, and bytes on disk for each byte of entry."""
    rows: list[Row] = []
    source = simulated()
    with served(None) as service:
        size, first = 0, 0.0
        for wanted in sizes:
            part = min(sizes[0], 10_000)
            while wanted - size > 2 * part:
                load(service.port, service.token, BATCH, batches(source, part // 100, 100), 4)
                size += part
            seen = load(service.port, service.token, BATCH, batches(source, part // 100, 100), 4)
            size += part
            rate = part / seen.seconds
            first = first or rate
            name = f"append SQLite FULL at {size:,} entries, batches of 100"
            rows.append(Row(name, rate, "events/s", rate / first, "first size"))
        rows += _disk(service)
    return rows


def _disk(service: Service) -> list[Row]:
    with closing(sqlite3.connect(service.data / "ledger.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (entries,) = connection.execute("SELECT SUM(LENGTH(state)) FROM entries").fetchone()
        (sealed,) = connection.execute("SELECT SUM(LENGTH(ciphertext)) FROM sealed").fetchone()
        (count,) = connection.execute("SELECT COUNT(*) FROM entries").fetchone()
        (published,) = connection.execute(
            "SELECT SUM(LENGTH(checkpoint)) FROM publications"
        ).fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
    disk = pages * page - sealed - published
    return [
        Row("entry, mean", entries / count, "bytes"),
        Row("sealed fields of an entry, mean", sealed / count, "bytes"),
        Row("on disk, without sealed fields", disk / count, "bytes/entry", disk / entries, "entry"),
    ]
