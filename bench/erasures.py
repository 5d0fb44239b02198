"""10,000 erasures under load: what they do to the latency of appends.

SQLite in WAL mode with synchronous=FULL; every group commit signed; sealed fields, a receipt in the
reply. An erasure is what an officer posts: an order and its execution, each by its own person and
token, in batches that erase many streams; the ledger destroys each key, and looks for what it
destroyed. The same load of single events runs without them and beside them, in rounds that take
turns.
"""

import statistics
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson

from bench.load import Load
from bench.result import Row
from bench.service import BATCH, STRUCTURED, Service, command, load, served, simulated, singles
from ledger.catalogue import CATALOGUE

ROUNDS = 3
CLIENTS = 64
#: Streams that are erased by one request.
TOGETHER = 50
Event = dict[str, Any]


def event(type_name: str, stream: str, actor: str, **data: Any) -> Event:
    """The catalogue's example of a type as a new event of a stream, now."""
    known = CATALOGUE.get(type_name)
    assert known is not None
    changed = {
        "id": str(uuid4()),
        "subject": f"case/{stream}",
        "time": datetime.now(UTC).isoformat(),
        "actor": actor,
        "data": {**known.example["data"], **data},
    }
    return {**known.example, **changed}


def bodies(events: Sequence[Event]) -> list[bytes]:
    """Batches of events."""
    return [
        orjson.dumps(events[start : start + TOGETHER]) for start in range(0, len(events), TOGETHER)
    ]


def erasure_rows(erasures: int, events: int, rounds: int = ROUNDS) -> list[Row]:
    """Latency of single events without and beside erasures, and the rate of these."""
    alone: list[Load] = []
    beside: list[Load] = []
    erased: list[Load] = []
    source = simulated()
    with served(None) as service:
        made = command(
            "hub-ledger", "token", "create", "--data", service.data, "--role", "dpo", "--all"
        )
        officer = made.split()[-1]
        _single(service, source, events // 4)
        for _ in range(rounds):
            executions = _ordered(service, -(-erasures // rounds // TOGETHER) * TOGETHER)
            alone.append(_single(service, source, events))
            thread = threading.Thread(
                target=_erase, args=(service, officer, executions, erased), daemon=True
            )
            thread.start()
            while True:
                beside.append(_single(service, source, events))
                if not thread.is_alive():
                    break
            thread.join()
    return _rows(alone, beside, erased)


def _ordered(service: Service, count: int) -> list[bytes]:
    """Record people and orders to erase them; gives the bodies that execute these."""
    coordinator, officer = str(uuid4()), str(uuid4())
    people, orders, executions = [], [], []
    for _ in range(count):
        stream = str(uuid4())
        people.append(event("subject.identified", stream, coordinator))
        orders.append(event("erasure.ordered", stream, coordinator))
        named = orders[-1]["id"]
        executions.append(event("erasure.executed", stream, officer, ordered_event=named))
    load(service.port, service.token, BATCH, bodies(people), 4)
    load(service.port, service.token, BATCH, bodies(orders), 4)
    return bodies(executions)


def _erase(service: Service, officer: str, executions: list[bytes], into: list[Load]) -> None:
    into.append(load(service.port, officer, BATCH, executions, 1))


def _single(service: Service, source: Iterator[Event], events: int) -> Load:
    return load(service.port, service.token, STRUCTURED, singles(source, events), CLIENTS)


def _rows(alone: list[Load], beside: list[Load], erased: list[Load]) -> list[Row]:
    name = f"append SQLite FULL: one, {CLIENTS} clients"
    rows = []
    for part in ("p50", "p99"):
        before = statistics.median(getattr(one, part) for one in alone)
        after = statistics.median(getattr(one, part) for one in beside)
        rows.append(Row(f"{name}, {part}, before erasures", before, "ms"))
        rows.append(Row(f"{name}, {part}, beside erasures", after, "ms", after / before, "without"))
    done = sum(one.requests for one in erased) * TOGETHER
    seconds = sum(one.seconds for one in erased)
    rows.append(Row("erasures meanwhile", done, "erasures"))
    rows.append(Row("erasures, keys destroyed", done / seconds, "erasures/s"))
    return rows
