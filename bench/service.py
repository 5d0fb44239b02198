"""A served ledger for benchmarks, and the realistic events that it is given."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import orjson

from bench.load import Load
from demo.simulate import events
from ledger.named import NAMING

BIN = Path(sys.executable).parent
_REFUSED_IN_A_CROWD = frozenset({*NAMING, "recipient_erasure.confirmed"})
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: its port, its data directory, and a token that may record anything."""

    port: int
    data: Path
    token: str


def simulated() -> Iterator[dict[str, Any]]:
    """CloudEvents of simulated years, one after another, each with people of its own. Without
    what speaks of an earlier event: one that overtakes what it corrects, erases or confirms is
    refused, and clients here send at once, in batches in which an erasure may not stand beside what
    it erases."""
    for seed in count(1):
        yield from (e for e in events(seed, 200, 475) if e["type"] not in _REFUSED_IN_A_CROWD)


def command(*arguments: str | Path) -> str:
    """Run one of the project's commands and give what it prints."""
    done = subprocess.run(
        [str(BIN / arguments[0]), *map(str, arguments[1:])],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@contextmanager
def served(database: str | None) -> Iterator[Service]:
    """A fresh ledger, served by the real command in processes of its own."""
    with tempfile.TemporaryDirectory(prefix="hub-ledger-bench-") as folder:
        data = Path(folder) / "data"
        where = () if database is None else ("--database", database)
        command("hub-ledger", "init", "--data", data, *where)
        made = command(
            "hub-ledger", "token", "create", "--data", data, "--role", "submitter", "--all"
        )
        process = subprocess.Popen(
            [str(BIN / "hub-ledger"), "serve", "--data", str(data), "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline().rsplit(":", 1)[1])
            yield Service(port, data, made.split()[-1])
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


@contextmanager
def noop() -> Iterator[int]:
    """The yardstick server's port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.noop"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def load(port: int, token: str, content_type: str, bodies: list[bytes], clients: int) -> Load:
    """Drive a service from another process; raises when it refused anything."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(b"\n".join(bodies))
        file.flush()
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "bench.load",
                str(port),
                token,
                content_type,
                str(clients),
                file.name,
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    seen = Load(**json.loads(done.stdout))
    if seen.refused:
        raise RuntimeError(f"{seen.refused} requests were refused")
    return seen


def singles(source: Iterator[dict[str, Any]], number: int) -> list[bytes]:
    """Bodies of single events."""
    return [orjson.dumps(event) for event in islice(source, number)]


def batches(source: Iterator[dict[str, Any]], number: int, size: int) -> list[bytes]:
    """Bodies of batches of that many events."""
    return [orjson.dumps(list(islice(source, size))) for _ in range(number)]
